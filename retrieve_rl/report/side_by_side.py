"""A study as papers print it: a row for a task and its varied values, a column for an arm."""

from collections.abc import Mapping
from typing import Any

from retrieve_rl.report.page import Table
from retrieve_rl.study.design import TUNED, StudyDesign, varied_as_text
from retrieve_rl.study.table import UNCHANGED

_Numbers = Mapping[str, Any]


def side_by_side(summary: Mapping[str, Any], design: StudyDesign) -> Table | None:
    """Three digits of every mean and its interval; None where there would be a single column.

    A row varies all that the study's own grid does. An arm that varies less of it stands in every
    row that agrees with it; how many rows vary something else, the note says.

    Args:
      summary: task -> arm -> varied values -> numbers, in the order of the design.
    """
    arms = [arm for arm in _arms(design) if any(arm in of_task for of_task in summary.values())]
    rows, told = [], set()
    for task, of_task in summary.items():
        for settings in _settings_of_rows(design):
            found = [_numbers(of_task.get(arm), arm, settings, design) for arm in arms]
            told |= {id(numbers) for numbers in found}
            if any(found):
                rows.append((design.marked(task), *settings.values(), *map(_with_ends, found)))
    if len(arms) < 2 or not rows:
        return None
    left_out = sum(id(numbers) not in told for numbers in _all_numbers(summary))
    more = f"Rows of the next table that vary something else: {left_out}." if left_out else ""
    note = " ".join(filter(None, (_about_tuning(summary, design), more)))
    return Table(("task", *design.grid, *map(_quoted, arms)), rows, note)


def verdicts_side_by_side(summary: Mapping[str, Any], design: StudyDesign) -> Table | None:
    """What each row of the judged arm differs by from every other arm, and the verdict; None
    without one.

    Args:
      summary: as for `side_by_side`.
    """
    others = [arm for arm in _arms(design) if arm != design.judged]
    rows = []
    for task, of_task in summary.items():
        below = of_task.get(design.judged, {})
        for varied, numbers in {"": below}.items() if "mean" in below else below.items():
            if against := numbers.get("against"):
                found = [_with_verdict(against.get(arm)) for arm in others]
                rows.append((design.marked(task), varied, *found))
    columns = ("task", f"`{design.judged}` with", *map(_quoted, others))
    return Table(columns, rows, _about_tuning(summary, design)) if rows else None


def _arms(design: StudyDesign) -> list[str]:
    return list(dict.fromkeys(arm for block in design.blocks for arm in block.arms))


def _settings_of_rows(design: StudyDesign) -> list[dict[str, Any]]:
    alike = [block for block in design.blocks if block.grid.keys() == design.grid.keys()]
    found = [settings for block in alike for settings in block.combinations]
    return [settings for place, settings in enumerate(found) if settings not in found[:place]]


def _numbers(
    below: _Numbers | None, arm: str, settings: Mapping[str, Any], design: StudyDesign
) -> _Numbers | None:
    """Of the arm's row with these settings, or with those of them that it varies."""
    if below is None or "mean" in below:
        return below
    own = [block.grid for block in design.blocks if arm in block.arms]
    for grid in sorted(own, key=len, reverse=True):
        if grid.keys() <= settings.keys():
            row = varied_as_text({key: settings[key] for key in grid}) or UNCHANGED
            if row in below:
                found: _Numbers = below[row]
                return found
    return None


def _all_numbers(summary: Mapping[str, Any]) -> list[_Numbers]:
    belows = [below for of_task in summary.values() for below in of_task.values()]
    return [one for below in belows for one in ([below] if "mean" in below else below.values())]


def _about_tuning(summary: Mapping[str, Any], design: StudyDesign) -> str:
    tuned = any(task in design.tuned_on for task in summary)
    return f"Settings were chosen on the tasks marked {TUNED}, with other seeds." if tuned else ""


def _quoted(arm: str) -> str:
    return f"`{arm}`"


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
    return f"{number:.0f}" if abs(number) >= 99.95 else f"{number:#.3g}"
