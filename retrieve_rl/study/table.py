"""From a study's cells to named numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from retrieve_rl.errors import DataError
from retrieve_rl.study.cell_files import CellResult
from retrieve_rl.study.design import StudyDesign, varied_as_text
from retrieve_rl.study.elo import SCORE, elo_difference, elo_of
from retrieve_rl.study.execute import Ended
from retrieve_rl.study.intervals import (
    Estimate,
    NamedScores,
    Scores,
    interquartile_mean_over_tasks,
    interval_of_means,
    mean_over_tasks,
    paired_differences,
)

Summary = dict[str, Any]
UNCHANGED = "as the arm"
"""The row of an arm whose grid varies in other rows."""
_COUNTS = "endings"
"""The condition whose measures count games: a match that lacks one has none of that kind."""
_NEVER = {"mean": 0.0, "low": None, "high": None}
_UNKNOWN = {"mean": None, "low": None, "high": None}
_Row = tuple[str, str]
"""An arm and its varied values."""
_Group = dict[int, CellResult]
"""The results of one row of the table, by seed."""


def summarize(ended: Sequence[Ended], design: StudyDesign) -> Summary:
    """task -> arm -> varied values -> the row's numbers; without a grid the last level is left out.

    `mean`, `low` and `high` are over seeds and episodes, `interval` says what of. A match's score
    and its difference have `elo`, the ratings that they stand for. `difference` is paired
    with the row of the reference arm that has the same values, of all keys that both vary; there is
    none where several rows would do. A row of that arm itself is paired with the one that has the
    first value of the first key and is else the same, or with the arm's first. A row of the judged
    arm has `against`: for each other arm, what it differs by from that arm's row with the same
    values, and the `verdict`.
    """
    summary: Summary = {}
    settings = {(one.cell.arm, one.cell.varied): one.cell.settings for one in ended}
    for task, rows in _rows(ended).items():
        arms = summary.setdefault(task, {})
        with_grid = {arm for arm, varied in rows if varied}
        for (arm, varied), group in rows.items():
            numbers = _numbers(group)
            against = _reference(
                {row: settings[row] for row in rows}, (arm, varied), design.reference_arm
            )
            if against is not None:
                other, name = rows[against], " ".join(against).strip()
                numbers["difference"] = _difference(group, other, name)
                _pair_conditions(numbers["conditions"], group, other, name)
            if arm == design.judged:
                numbers["against"] = _against(rows, settings, (arm, varied), design.margin)
            if arm in with_grid:
                arms.setdefault(arm, {})[varied or UNCHANGED] = numbers
            else:
                arms[arm] = numbers
    return summary


def in_design_order(summary: Mapping[str, Any], design: StudyDesign) -> Summary:
    """Tasks, arms and rows as the design names them, whatever order a file keeps them in."""
    return {
        task: arms_in_design_order(arms, design)
        for task, arms in _ordered(summary, design.tasks).items()
    }


def arms_in_design_order(arms: Mapping[str, Any], design: StudyDesign) -> Summary:
    """Arms, and the rows of each, as the design names them."""
    rows: dict[str, list[str]] = {}
    for block in design.blocks:
        named = [varied_as_text(settings) for settings in block.combinations]
        for arm in block.arms:
            rows.setdefault(arm, []).extend(name or UNCHANGED for name in named)
    return {
        arm: below if "mean" in below else _ordered(below, rows.get(arm, ()))
        for arm, below in _ordered(arms, list(rows)).items()
    }


def _ordered(found: Mapping[str, Any], names: Sequence[str]) -> Summary:
    return {name: found[name] for name in (*(n for n in names if n in found), *found)}


def over_tasks(ended: Sequence[Ended]) -> Summary:
    """arm -> varied values ("" where nothing varies) -> mean over the tasks, for rows that every
    task has; nothing for a study of one task."""
    by_task = _rows(ended)
    if len(by_task) < 2:
        return {}
    shared = [
        row for row in next(iter(by_task.values())) if all(row in r for r in by_task.values())
    ]
    told: Summary = {}
    for row in shared:
        groups = [rows[row] for rows in by_task.values()]
        if len({measure_of(group) for group in groups}) > 1:
            continue
        tasks = [[scores(one) for one in group.values()] for group in groups]
        told.setdefault(row[0], {})[row[1]] = {
            **_interval(mean_over_tasks(tasks)),
            "interquartile_mean": _interval(interquartile_mean_over_tasks(tasks)),
            "tasks": len(tasks),
        }
    return told


def same_version(ended: Iterable[Ended]) -> None:
    """Refuses a table of several versions of a paper's results. Raises DataError."""
    found: dict[str, dict[int, str]] = {}
    for one in ended:
        if one.result is not None:
            versions = found.setdefault(one.result.paper, {})
            versions.setdefault(one.result.results_version, one.cell.label)
    for paper, versions in found.items():
        if len(versions) > 1:
            told = "; ".join(f"{version}: {label}" for version, label in sorted(versions.items()))
            raise DataError(
                f"results of several versions of {paper} do not belong into one table ({told}):"
                " compute the older ones again"
            )


def unlike_data(ended: Iterable[Ended]) -> list[str]:
    """A sentence for each data set whose arrays are not the same in all cells."""
    found: dict[str, set[str]] = {}
    for one in ended:
        for name, digest in (one.result.digests if one.result else {}).items():
            found.setdefault(name, set()).add(digest)
    return [
        f"{name} differs in its bytes between cells ({len(digests)} versions: made on several"
        " processors)"
        for name, digests in found.items()
        if len(digests) > 1
    ]


def scores(result: CellResult, measure: str | None = None) -> Scores:
    """The raw outcomes of a cell, of its headline measure by default."""
    return _scores(result, result.outcomes.values[measure or result.measure])


def _scores(result: CellResult, values: Sequence[float]) -> Scores:
    totals = np.array(values, np.float64)
    counts = np.array(result.outcomes.counts or np.ones_like(totals), np.float64)
    return Scores(totals, counts)


def measure_of(group: _Group) -> str:
    return next(iter(group.values())).measure


def _rows(ended: Iterable[Ended]) -> dict[str, dict[_Row, _Group]]:
    """task -> (arm, varied values) -> finished cells."""
    found: dict[str, dict[_Row, _Group]] = {}
    for one in ended:
        if one.result is not None:
            cell = one.cell
            rows = found.setdefault(cell.task, {})
            rows.setdefault((cell.arm, cell.varied), {})[cell.seed] = one.result
    return found


def _numbers(group: _Group) -> dict[str, Any]:
    results = list(group.values())
    task = [[scores(one) for one in results]]
    mean = _interval(mean_over_tasks(task))
    measure = measure_of(group)
    return {
        **mean,
        **({"elo": elo_of(mean)} if measure == SCORE else {}),
        "interquartile_mean": _interval(interquartile_mean_over_tasks(task)),
        "episodes": sum(len(run) for run in task[0]),
        "seeds": len(results),
        "measure": measure,
        "steps": results[0].steps,
        "parameters": results[0].parameters,
        "train_seconds": float(np.mean([one.seconds.get("train", 0.0) for one in results])),
        "conditions": _conditions(results),
    }


def _conditions(results: list[CellResult]) -> dict[str, dict[str, Any]]:
    """condition -> measure -> mean over the seeds that have it; one seed keeps its own interval."""
    told: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for one in results for name in one.conditions):
        having = [one.conditions[name] for one in results if name in one.conditions]
        lacking = _NEVER if name == _COUNTS else _UNKNOWN
        for measure in dict.fromkeys(measure for measures in having for measure in measures):
            found = [measures.get(measure, lacking) for measures in having]
            known = [(mean, one) for one in found if (mean := one["mean"]) is not None]
            if not known:
                continue
            estimate = interval_of_means([mean for mean, _ in known])
            if len(known) == 1:
                own = known[0][1]
                estimate = estimate._replace(low=own["low"], high=own["high"])
            told.setdefault(name, {})[measure] = _interval(estimate)
    return told


def _reference(rows: Mapping[_Row, Mapping[str, Any]], row: _Row, arm: str) -> _Row | None:
    """The row that another is compared with, of rows and the settings they vary."""
    of_arm = [other for other in rows if other[0] == arm]
    if row[0] == arm:
        found = _reference_in_arm(rows, row, of_arm)
        return None if found == row else found
    alike = [other for other in of_arm if _agree(rows[other], rows[row])]
    exact = [other for other in alike if rows[other] == rows[row]]
    chosen = exact or alike
    return chosen[0] if len(chosen) == 1 else None


def _reference_in_arm(
    rows: Mapping[_Row, Mapping[str, Any]], row: _Row, of_arm: Sequence[_Row]
) -> _Row:
    first, key = of_arm[0], next(iter(rows[row]), None)
    if key is not None and key in rows[first]:
        wanted = {**rows[row], key: rows[first][key]}
        return next((other for other in of_arm if rows[other] == wanted != rows[row]), first)
    return first


def _against(
    rows: Mapping[_Row, _Group],
    settings: Mapping[_Row, Mapping[str, Any]],
    row: _Row,
    margin: float,
) -> dict[str, dict[str, Any]]:
    """Other arm -> what the row differs by from that arm's row, and what follows from it."""
    varied = {other: settings[other] for other in rows}
    told = {}
    for arm in dict.fromkeys(arm for arm, _ in rows if arm != row[0]):
        against = _reference(varied, row, arm)
        if against is None:
            continue
        difference = _difference(rows[row], rows[against], " ".join(against).strip())
        if difference is not None:
            told[arm] = {**difference, "verdict": verdict(difference, margin)}
    return told


def verdict(difference: Mapping[str, Any], margin: float) -> str:
    """What the interval of a difference says: won, not worse, lost or undecided."""
    if difference["low"] > 0:
        return "won"
    if difference["low"] > -margin:
        return "not worse"
    return "lost" if difference["high"] < 0 else "undecided"


def _agree(some: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    return all(some[key] == others[key] for key in some.keys() & others.keys())


def _difference(group: _Group, other: _Group, name: str) -> dict[str, Any] | None:
    """Paired by seed and evaluation episode; None where nothing can be paired."""
    if measure_of(group) != measure_of(other):
        return None
    found = _paired(_named(group), other, name)
    if found is not None and measure_of(group) == SCORE:
        found["elo"] = elo_difference(_named(group), _named(other))
    return found


def _pair_conditions(
    told: dict[str, dict[str, Any]], group: _Group, other: _Group, name: str
) -> None:
    """Adds what each condition with totals differs by from the other row, as that was trained."""
    measure = measure_of(group)
    for condition, measures in told.items():
        named = {
            seed: NamedScores(one.outcomes.episodes, _scores(one, one.condition_totals[condition]))
            for seed, one in group.items()
            if condition in one.condition_totals
        }
        if measure in measures and measure == measure_of(other):
            difference = _paired(named, other, name)
            if difference is not None:
                measures[measure]["difference"] = difference


def _paired(mine: dict[int, NamedScores], other: _Group, name: str) -> dict[str, Any] | None:
    differences = paired_differences(mine, _named(other))
    if not differences:
        return None
    return {
        **_interval(mean_over_tasks([differences])),
        "less": name,
        "seeds": len(differences),
        "pairs": sum(len(run) for run in differences),
    }


def _named(group: _Group) -> dict[int, NamedScores]:
    return {seed: NamedScores(one.outcomes.episodes, scores(one)) for seed, one in group.items()}


def _interval(found: Estimate) -> dict[str, Any]:
    return {"mean": found.mean, "low": found.low, "high": found.high, "interval": found.of}
