"""A study's scores as papers print them: a row for a task and its values, a column for an arm."""

from collections.abc import Mapping
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
    named = dict.fromkeys(arm for block in design.blocks for arm in block.arms)
    arms = [arm for arm in named if any(arm in of_task for of_task in summary.values())]
    if len(arms) < 2:
        return None
    rows = []
    for task, of_task in summary.items():
        for settings in design.combinations:
            found = [_in_row(of_task.get(arm), varied_as_text(settings)) for arm in arms]
            if any(found):
                rows.append((design.marked(task), *settings.values(), *map(_with_ends, found)))
    tuned = any(task in design.tuned_on for task in summary)
    note = f"Settings were chosen on the tasks marked {TUNED}, with other seeds." if tuned else ""
    return Table(("task", *design.grid, *(f"`{arm}`" for arm in arms)), rows, note)


def _in_row(of_arm: _Numbers | None, varied: str) -> _Numbers | None:
    if of_arm is None or "mean" in of_arm:
        return of_arm
    return of_arm.get(varied or UNCHANGED)


def _with_ends(numbers: _Numbers | None) -> str | None:
    if numbers is None:
        return None
    mean, low, high = (numbers[name] for name in ("mean", "low", "high"))
    if low is None or high is None:
        return _digits(mean)
    return f"{_digits(mean)} ({_digits(low)} to {_digits(high)})"


def _digits(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:#.3g}"
