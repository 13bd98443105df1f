"""A page about a run, from its result and its log."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieve_rl.report.boards import boards_in
from retrieve_rl.report.curves import curves_of_rows
from retrieve_rl.report.page import Page, Section, Table
from retrieve_rl.results import RunResult
from retrieve_rl.shown import INTERVAL, flat

_MOST_OUTCOMES = 40
_LEFT_OUT = (
    "The command leaves out --set, data and games of one's own, --episodes, --index, --add, and how"
    " a match was played (--player, --simulations, --openings and the like): where they were given,"
    " the config below or the result's inputs say so."
)


def page_of_run(result: RunResult, folder: Path) -> Page:
    """Everything a result says, and its learning curve and boards where they lie beside it."""
    names = (result.task, result.arm, result.preset, f"seed {result.seed}")
    return Page(
        title=f"{result.command}: {', '.join(names)}",
        sections=[
            Section("Summary", tables=_facts(_summary(result.summary))),
            Section("Learning curve", pictures=curves_of_rows({result.arm: [folder]}).pictures),
            Section("Neighbors", pictures=boards_in(folder)),
            _conditions(result),
            Section("Retrieval", tables=_facts(_without_conditions(result.retrieval or {}))),
            _outcomes(result),
            Section("Training", tables=_facts(result.training or {})),
            Section(
                "How it was made",
                [_LEFT_OUT],
                tables=_facts(
                    {
                        "seconds": result.timings,
                        "peak memory, GiB": result.peak_memory_bytes / 2**30,
                        **result.versions,
                        **result.device,
                    }
                ),
                commands=[_command(result)],
            ),
            Section("Config", tables=_facts(result.config)),
        ],
    )


def _command(result: RunResult) -> str:
    """What computes the same, but for what `_LEFT_OUT` names."""
    words = ["rrl", result.command, "--task", result.task, "--preset", result.preset]
    if result.command != "build-index":  # all arms share its index
        words += ["--arm", result.arm]
    words += ["--seed", str(result.seed)]
    if "opponent" in result.config:
        words += ["--opponent", result.config["opponent"], "--games", str(result.config["games"])]
    return shlex.join(words)


def _summary(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Without the numbers that only repeat the headline's."""
    repeated = INTERVAL if "measure" in summary else ()
    return {name: value for name, value in summary.items() if name not in repeated}


def _without_conditions(retrieval: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in retrieval.items() if name != "conditions"}


def _conditions(result: RunResult) -> Section:
    rows = [
        (name, measure, table["by_step"][0][measure])
        for name, table in ((result.retrieval or {}).get("conditions") or {}).items()
        for measure in ("top1", "cross_entropy", "value_error")
    ]
    columns = ("condition", "measure", "mean [95% interval]")
    return Section("Under every condition", tables=[Table(columns, rows)] if rows else [])


def _outcomes(result: RunResult) -> Section:
    if not result.outcomes:
        return Section("Outcomes")
    flattened = [dict(flat(outcome)) for outcome in result.outcomes[:_MOST_OUTCOMES]]
    columns = tuple(dict.fromkeys(name for row in flattened for name in row if name != "moves"))
    rows = [tuple(row.get(name) for name in columns) for row in flattened]
    left_out = len(result.outcomes) - len(rows)
    note = f"{left_out} more stand in the result." if left_out else ""
    return Section("Outcomes", tables=[Table(columns, rows, note)])


def _facts(facts: Mapping[str, Any]) -> list[Table]:
    rows = list(flat(facts))
    return [Table(("name", "value"), rows)] if rows else []
