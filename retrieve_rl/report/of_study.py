"""A page about a study, from the JSON that `rrl ablate` wrote."""

import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieve_rl.errors import DataError
from retrieve_rl.progress import in_words
from retrieve_rl.report.curves import curves_of_rows
from retrieve_rl.report.design_of import design_of
from retrieve_rl.report.page import Page, Section, Table
from retrieve_rl.report.pictures import picture_of_study
from retrieve_rl.report.side_by_side import side_by_side, verdicts_side_by_side
from retrieve_rl.shown import interval_of, leaves, shown
from retrieve_rl.study.ablate import failed_cells
from retrieve_rl.study.design import StudyDesign, varied_as_text
from retrieve_rl.study.table import arms_in_design_order, in_design_order

SCHEMA_VERSION = 2
_COLUMNS = (
    "task",
    "row",
    "measure",
    "mean [95% interval]",
    "paired difference",
    "interquartile mean",
    "seeds",
    "episodes",
    "steps",
    "parameters",
    "train seconds",
)
_RATED = ("task", "row", "Elo [95% interval]; none: infinite", "paired difference")
_KEY = ("schema_version", "name", "title", "preset", "design", "cells", "summary")


def page_of_study(report: Mapping[str, Any], source: str, root: Path) -> Page:
    """Tables and figures of the study; learning curves where its runs lie below `root`.

    Raises:
      DataError: it is no report of a study, or one of another version of this program.
    """
    missing = [name for name in _KEY if name not in report]
    if missing:
        raise DataError(f"{source} is no report of a study: it lacks {', '.join(missing)}")
    if report["schema_version"] != SCHEMA_VERSION:
        raise DataError(
            f"{source} has schema version {report['schema_version']}, this program reads"
            f" {SCHEMA_VERSION}: run rrl ablate {report['name']} again"
        )
    design = design_of(report, source)
    cells = [cell for cell in report["cells"] if cell["status"] == "ok"]
    report = {**report, "summary": in_design_order(report["summary"], design)}
    return Page(
        title=report["title"],
        sections=[
            _results(report, design),
            _verdicts(report, design),
            _over_tasks(report, design),
            _conditions(report),
            _curves(cells, root),
            _failed(report),
            _made_by(report, cells),
        ],
    )


def _results(report: Mapping[str, Any], design: StudyDesign) -> Section:
    rows = list(leaves(report["summary"]))
    if not rows:
        return Section("Results", ["No cell is finished."])
    kinds = "; ".join(sorted({numbers["interval"] for _, numbers in rows}))
    tables = [Table(_COLUMNS, [_row(path, numbers) for path, numbers in rows])]
    compared = side_by_side(report["summary"], design)
    if compared is not None:
        tables.insert(0, compared)
    rated = [(path, numbers) for path, numbers in rows if "elo" in numbers]
    if rated:
        tables.append(Table(_RATED, [_rating(path, numbers) for path, numbers in rated]))
    text = [f"95% intervals: {kinds}.", *report.get("notes", ())]
    picture = picture_of_study(report["summary"], design)
    return Section("Results", text, tables=tables, pictures=[picture])


def _rating(path: tuple[str, ...], numbers: Mapping[str, Any]) -> tuple[Any, ...]:
    """Elo against the opponent, and the difference to the row it is compared with."""
    difference = numbers.get("difference") or {}
    less = difference.get("elo")
    told = f"{_signed(less)} to {difference['less']}" if less else None
    return (path[0], " ".join(path[1:]), interval_of(numbers["elo"]), told)


def _row(path: tuple[str, ...], numbers: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        path[0],
        " ".join(path[1:]),
        numbers["measure"],
        interval_of(numbers),
        _told_difference(numbers),
        interval_of(numbers["interquartile_mean"]),
        numbers["seeds"],
        numbers["episodes"],
        numbers["steps"],
        numbers["parameters"],
        round(numbers["train_seconds"]),
    )


def _told_difference(numbers: Mapping[str, Any]) -> str | None:
    """What a row or a condition differs by from the row it is compared with, if from any."""
    difference = numbers.get("difference")
    return f"{_signed(difference)} to {difference['less']}" if difference else None


def _signed(difference: Mapping[str, Any]) -> str:
    mean, low, high = (difference[name] for name in ("mean", "low", "high"))
    if low is None and high is None:
        return f"{mean:+.4g}"
    ends = ("none" if end is None else f"{end:+.4g}" for end in (low, high))
    return f"{mean:+.4g} [{', '.join(ends)}]"


def _verdicts(report: Mapping[str, Any], design: StudyDesign) -> Section:
    title = f"{design.judged} against every other arm"
    told = verdicts_side_by_side(report["summary"], design)
    if told is None:
        return Section(title)
    counts = Counter(
        found["verdict"]
        for _, numbers in leaves(report["summary"])
        for found in numbers.get("against", {}).values()
    )
    counted = ", ".join(f"{count} {name}" for name, count in counts.items())
    text = f"{counted}. Not worse: the whole interval lies above {-design.margin:g}."
    return Section(title, [text], tables=[told])


def _over_tasks(report: Mapping[str, Any], design: StudyDesign) -> Section:
    rows = [
        (f"{arm} {varied}".strip(), interval_of(numbers), interval_of(iqm), numbers["tasks"])
        for arm, below in arms_in_design_order(report.get("over_tasks", {}), design).items()
        for varied, numbers in below.items()
        if (iqm := numbers["interquartile_mean"])
    ]
    columns = ("row", "mean over tasks [95% interval]", "interquartile mean", "tasks")
    return Section("Over all tasks", tables=[Table(columns, rows)] if rows else [])


def _conditions(report: Mapping[str, Any]) -> Section:
    rows = [
        (" ".join(path), condition, measure, interval_of(found), _told_difference(found))
        for path, numbers in leaves(report["summary"])
        for condition, measures in numbers.get("conditions", {}).items()
        for measure, found in measures.items()
    ]
    columns = ("row", "condition", "measure", "mean [95% interval]", "paired difference")
    return Section("Under other conditions", tables=[Table(columns, rows)] if rows else [])


def _curves(cells: list[Mapping[str, Any]], root: Path) -> Section:
    tasks: dict[str, dict[str, list[Path]]] = {}
    for cell in cells:
        if "run" in cell:
            rows = tasks.setdefault(cell["task"], {})
            rows.setdefault(_row_of(cell), []).append(root / cell["run"])
    found = [curves_of_rows(rows, task if len(tasks) > 1 else "") for task, rows in tasks.items()]
    notes = [
        f"{task}: {curves.note}" for task, curves in zip(tasks, found, strict=True) if curves.note
    ]
    pictures = [picture for curves in found for picture in curves.pictures]
    return Section("Learning curves", notes, pictures=pictures)


def _failed(report: Mapping[str, Any]) -> Section:
    rows = failed_cells(report)
    return Section("Failed cells", tables=[Table(("cell", "error"), rows)] if rows else [])


def _made_by(report: Mapping[str, Any], cells: list[Mapping[str, Any]]) -> Section:
    """The commands, the time, and every version and device that took part."""
    trained = {cell.get("run", n): _training_seconds(cell) for n, cell in enumerate(cells)}
    judged = sum(sum(cell["seconds"].values()) - _training_seconds(cell) for cell in cells)
    seconds = judged + sum(trained.values())  # a training of several cells counts once
    versions: Counter[tuple[str, str]] = Counter()
    for cell in cells:
        versions.update(cell["versions"].items())
        named = {"device": "kind", "trained on": "trained_on"}
        of_cell = [(name, cell["device"].get(key)) for name, key in named.items()]
        versions.update((name, shown(kind)) for name, kind in of_cell if kind)
    rows = [(name, version, count) for (name, version), count in sorted(versions.items())]
    return Section(
        "How it was made",
        [f"{len(cells)} cells, {in_words(seconds)} of computing in all."] if cells else [],
        tables=[Table(("what", "version", "cells"), rows)] if rows else [],
        commands=[shlex.join(("rrl", "ablate", *_asked(report)))],
    )


def _training_seconds(cell: Mapping[str, Any]) -> float:
    return float(sum(cell["seconds"].get(stage, 0.0) for stage in ("prepare", "train")))


def _asked(report: Mapping[str, Any]) -> list[str]:
    """The words of the command; reports of before they were kept have the study and its preset."""
    return report.get("asked") or [report["name"], "--preset", report["preset"]]


def _row_of(cell: Mapping[str, Any]) -> str:
    return f"{cell['arm']} {varied_as_text(cell['settings'])}".strip()
