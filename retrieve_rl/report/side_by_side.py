"""A study as papers print it: a row for a task and its varied values, a column for an arm."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrieve_rl.report.page import Table
from retrieve_rl.study.design import TUNED, StudyDesign, varied_as_text
from retrieve_rl.study.table import UNCHANGED

_Numbers = Mapping[str, Any]


def side_by_side(summary: Mapping[str, Any], design: StudyDesign) -> Table | None:
    """Three digits of every mean and its interval; None where there would be a single column.

    Rows are those of the study's own grid. An arm that does not vary stands in every one.

    Args:
      summary: task -> arm -> varied values -> numbers, in the order of the design.
    """
    arms = [arm for arm in _arms(design) if any(arm in of_task for of_task in summary.values())]
    if len(arms) < 2:
        return None
    rows = []
    for task, of_task in summary.items():
        for settings in design.combinations:
            found = [_in_row(of_task.get(arm), settings) for arm in arms]
            if any(found):
                rows.append((design.marked(task), *settings.values(), *map(_with_ends, found)))
    return Table(_columns(design, arms), rows, _note(summary, design))


def verdicts_side_by_side(summary: Mapping[str, Any], design: StudyDesign) -> Table | None:
    """What the judged arm differs by from each other arm, and the verdict; None without one.

    Args:
      summary: as for `side_by_side`.
    """
    rows, others = [], [arm for arm in _arms(design) if arm != design.judged]
    for task, of_task in summary.items():
        for settings in design.combinations:
            numbers = _in_row(of_task.get(design.judged), settings) or {}
            against = numbers.get("against", {})
            if against:
                told = [_with_verdict(against.get(arm)) for arm in others]
                rows.append((design.marked(task), *settings.values(), *told))
    return Table(_columns(design, others), rows, _note(summary, design)) if rows else None


def _arms(design: StudyDesign) -> list[str]:
    return list(dict.fromkeys(arm for block in design.blocks for arm in block.arms))


def _columns(design: StudyDesign, arms: Sequence[str]) -> tuple[str, ...]:
    return ("task", *design.grid, *(f"`{arm}`" for arm in arms))


def _note(summary: Mapping[str, Any], design: StudyDesign) -> str:
    tuned = any(task in design.tuned_on for task in summary)
    return f"Settings were chosen on the tasks marked {TUNED}, with other seeds." if tuned else ""


def _in_row(of_arm: _Numbers | None, settings: Mapping[str, Any]) -> _Numbers | None:
    if of_arm is None or "mean" in of_arm:
        return of_arm
    return of_arm.get(varied_as_text(settings) or UNCHANGED)


def _with_ends(numbers: _Numbers | None) -> str | None:
    if numbers is None:
        return None
    mean, low, high = (numbers[name] for name in ("mean", "low", "high"))
    if low is None or high is None:
        return _digits(mean)
    return f"{_digits(mean)} ({_digits(low)} to {_digits(high)})"


def _with_verdict(difference: _Numbers | None) -> str | None:
    if difference is None:
        return None
    mean, low, high = (difference[name] for name in ("mean", "low", "high"))
    sign = "+" if mean > 0 else ""
    return f"{sign}{_digits(mean)} ({_digits(low)} to {_digits(high)}) {difference['verdict']}"


def _digits(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:#.3g}"
