"""Two runs side by side, paired by evaluation episode."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrieve_rl.documents import read_json
from retrieve_rl.errors import DataError
from retrieve_rl.results import Measurements, RunResult, read_result
from retrieve_rl.study.cell_files import CellResult, read_cell
from retrieve_rl.study.intervals import NamedScores, Scores, mean_over_tasks, paired_differences
from retrieve_rl.study.paper import Paper

PaperNamed = Callable[[str], Paper]
_JUDGED = ("train-policy", "evaluate")


class Compared(NamedTuple):
    """What two runs are compared by.

    Attributes:
      run: the path it was named by.
      label: task, arm, preset and seed.
      status: of its result.
      scores: measure -> episodes and what the run got in them.
      judged_on: what else both must share, as far as it is known; see `Paper.judged_on`.
    """

    run: str
    label: str
    status: str
    paper: str
    task: str
    seed: int
    results_version: int
    measure: str
    digests: dict[str, str]
    scores: dict[str, NamedScores]
    judged_on: dict[str, Any]


def load(path: Path, paper_named: PaperNamed) -> Compared:
    """A run's folder, its result.json, or the file of a finished cell.

    Raises:
      DataError: it is none of these, or a run without outcomes to compare.
    """
    if path.is_file() and _is_cell(path):
        cell = read_cell(path)
        return _of_cell(path, cell, paper_named(cell.paper))
    result = read_result(path)
    if result.command not in _JUDGED or not result.outcomes:
        raise DataError(f"{path} is a run of {result.command}: compare takes {', '.join(_JUDGED)}")
    paper = result.config.get("trained", result.config)["paper"]
    return _of_result(path, result, paper_named(str(paper)))


def compare(first: Compared, second: Compared) -> dict[str, Any]:
    """Both means of every measure, and `first` less `second` over the episodes that both have.

    Raises:
      DataError: other papers, tasks or versions of the results; judged on what is not the same, so
        that equal names of episodes mean nothing; or no common episode.
    """
    for name, mine, theirs in _must_agree(first, second):
        if mine != theirs:
            raise DataError(
                f"{first.run} and {second.run} do not belong into one table: {name} {mine} and"
                f" {theirs}"
            )
    measures = {
        name: _paired(first.scores[name], second.scores[name])
        for name in first.scores
        if name in second.scores
    }
    if not any(measures.values()):
        raise DataError(f"{first.run} and {second.run} were not judged on a common episode")
    return {
        "first": {"run": first.run, "label": first.label},
        "second": {"run": second.run, "label": second.label},
        "measure": first.measure,
        "measures": {name: found for name, found in measures.items() if found},
        "notes": _notes(first, second),
    }


def _must_agree(first: Compared, second: Compared) -> list[tuple[str, Any, Any]]:
    names = ("paper", "task", "results_version")
    known = first.judged_on.keys() & second.judged_on.keys()
    return [
        *((name, getattr(first, name), getattr(second, name)) for name in names),
        *((name, first.judged_on[name], second.judged_on[name]) for name in sorted(known)),
    ]


def _paired(mine: NamedScores, theirs: NamedScores) -> dict[str, Any] | None:
    differences = paired_differences({0: mine}, {0: theirs})
    if not differences:
        return None
    found = mean_over_tasks([differences])
    return {
        "first": mine.scores.mean,
        "second": theirs.scores.mean,
        "difference": {"mean": found.mean, "low": found.low, "high": found.high},
        "interval": found.of,
        "pairs": len(differences[0]),
        "episodes": [len(mine.scores), len(theirs.scores)],
    }


def _notes(first: Compared, second: Compared) -> list[str]:
    notes = []
    both = ((first, second), (second, first))
    for one in (first, second):
        if one.status != "ok":
            notes.append(f"{one.run} is {one.status}: its summary says why")
    if first.seed != second.seed:
        notes.append(f"other seeds, {first.seed} and {second.seed}: other draws and trainings")
    only = [sorted(mine.digests.keys() - theirs.digests.keys()) for mine, theirs in both]
    if any(only):
        told = (" and ".join(names) or "none but the common" for names in only)
        notes.append(f"other data: {', '.join(told)}")
    for name in sorted(first.digests.keys() & second.digests.keys()):
        if first.digests[name] != second.digests[name]:
            notes.append(f"{name} differs in its bytes between the two")
    return notes


def _is_cell(path: Path) -> bool:
    try:
        return "identity" in read_json(path)
    except DataError:
        return False


def _of_cell(path: Path, cell: CellResult, paper: Paper) -> Compared:
    columns = Measurements(cell.outcomes.episodes, cell.outcomes.counts, cell.outcomes.values)
    return Compared(
        str(path),
        f"{cell.task} {cell.arm} {cell.preset} seed={cell.seed}",
        "ok",
        cell.paper,
        cell.task,
        cell.seed,
        cell.results_version,
        cell.measure,
        cell.digests,
        _named(columns),
        paper.judged_on(cell.identity, cell.seed, cell.measure),
    )


def _of_result(path: Path, result: RunResult, paper: Paper) -> Compared:
    try:
        columns = paper.measurements(result)
    except KeyError as error:
        raise DataError(f"{path} has outcomes of another kind: they lack {error}") from None
    return Compared(
        str(path),
        f"{result.task} {result.arm} {result.preset} seed={result.seed}",
        result.status,
        paper.name,
        result.task,
        result.seed,
        result.results_version,
        str(result.summary["measure"]),
        paper.digests(result),
        _named(columns),
        paper.judged_on(result.config, result.seed, str(result.summary["measure"])),
    )


def _named(columns: Measurements) -> dict[str, NamedScores]:
    counts = np.array(columns.counts or np.ones(len(columns.episodes)), np.float64)
    return {
        name: NamedScores(columns.episodes, Scores(np.array(totals, np.float64), counts))
        for name, totals in columns.values.items()
    }
