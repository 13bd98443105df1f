"""The figure of a study, drawn from its summary alone."""

import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieve_rl.durable import write_file
from retrieve_rl.shown import is_number
from retrieve_rl.study.design import StudyDesign
from retrieve_rl.study.intervals import EPISODES_ONLY
from retrieve_rl.study.table import UNCHANGED, in_design_order
from retrieve_rl.study.themes import LIGHT, MARKERS, Theme, drawn_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Numbers = dict[str, Any]
_Line = dict[Any, _Numbers]
"""What it is drawn over -> numbers there."""


def draw(summary: dict[str, Any], design: StudyDesign, path: Path) -> None:
    """Writes the figure for a light page as PNG."""
    drawn = io.BytesIO()
    with drawn_in(LIGHT):
        figure = figure_of(summary, design, LIGHT)
        figure.savefig(drawn, format="png", dpi=150, metadata={"Software": None})
    write_file(path, drawn.getvalue())


def figure_of(summary: dict[str, Any], design: StudyDesign, theme: Theme) -> "Figure":
    """A bar for each row, or, where the last key varies a number, lines over it, or over the
    numbers of the conditions that the design names; one panel a task.

    To be called, and its result saved, inside `drawn_in(theme)`.
    """
    from matplotlib.figure import Figure

    summary = in_design_order(summary, design)
    tasks = list(summary) or list(design.tasks)
    over = _drawn_over(design)
    lines = {task: _lines(arms, design, over) for task, arms in summary.items()} if over else {}
    # A row or an arm has its place and color in every panel, also where a task lacks another.
    rows = _shown([row for arms in summary.values() for row in _flat(arms)])
    names = _shown([name for named in lines.values() for name in named])
    size = (2.5 + 2.8 * len(tasks), 3.6 if over else 1.6 + 0.35 * max(1, len(rows)))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(tasks), squeeze=False, sharex=not over, sharey=bool(over))
    for axis, task in zip(axes[0], tasks, strict=True):
        if over:
            _draw_lines(axis, lines.get(task, {}), names)
            axis.set_xlabel(over)
        else:
            bars = _flat(summary.get(task, {}))
            _draw_bars(axis, bars, rows, theme, named=axis is axes[0][0])
        axis.set_title(design.marked(task), fontsize="medium")
    measure = _measure(summary)
    if over:
        axes[0][0].set_ylabel(measure)
        named = {
            label: handle
            for axis in axes[0]
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        columns = _legend_columns(named, figure.get_figwidth())
        figure.set_figheight(figure.get_figheight() + 0.22 * (-(-len(named) // columns) - 1))
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)
    else:
        figure.supxlabel(measure, fontsize="medium")
    told = ", ".join([design.preset, *_told_intervals(summary)])
    figure.suptitle(f"{design.title}\n{told}", fontsize="medium")
    return figure


def _legend_columns(labels: Iterable[str], inches: float) -> int:
    """So many that no label is cut off: a letter takes a tenth of an inch, a handle six."""
    widest = max(map(len, labels), default=0)
    return max(1, min(4, int(10 * inches / (6 + widest))))


def _flat(arms: dict[str, Any]) -> dict[str, _Numbers]:
    """Name -> numbers of every row of a task."""
    rows = {}
    for arm, below in arms.items():
        if "mean" in below:
            rows[arm] = below
        else:
            rows |= {f"{arm} {varied}": numbers for varied, numbers in below.items()}
    return rows


def _told_intervals(summary: dict[str, Any]) -> list[str]:
    """How many seeds finished, and what the intervals are over; nothing where no cell did."""
    rows = [numbers for arms in summary.values() for numbers in _flat(arms).values()]
    if not rows:
        return []
    seeds = sorted({numbers["seeds"] for numbers in rows})
    several = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    word = "seed" if seeds == [1] else "seeds"
    one_only = all(numbers["interval"] == EPISODES_ONLY for numbers in rows)
    return [f"{several} {word}", "95% intervals" + (f" ({EPISODES_ONLY})" if one_only else "")]


def _shown(names: Iterable[str]) -> dict[str, str]:
    """Name -> label, in order: "a data.num_experts=3 x.y=1" without the sections of the keys, where
    no other name would have the same."""
    short = {name: re.sub(r"(^| )[\w.]*\.(\w+=)", r"\1\2", name) for name in names}
    counts = Counter(short.values())
    return {name: label if counts[label] == 1 else name for name, label in short.items()}


def _draw_bars(
    axis: Any, found: dict[str, _Numbers], rows: dict[str, str], theme: Theme, *, named: bool
) -> None:
    """From the top down; the rows are named beside the first panel only."""
    for row, numbers in found.items():
        position = list(rows).index(row)
        axis.barh(position, numbers["mean"], color="C0", alpha=0.8)
        whiskers = _whiskers([numbers])
        axis.errorbar(numbers["mean"], position, xerr=whiskers, color=theme.ink, capsize=4)
    axis.set_yticks(range(len(rows)), rows.values() if named else [""] * len(rows))
    axis.invert_yaxis()


def _drawn_over(design: StudyDesign) -> str | None:
    """What the lines of the figure are drawn over: the last key of the grid; None for bars."""
    if design.curve is not None:
        return design.curve
    over = next(reversed(design.grid), None)
    if over is None or not all(map(is_number, design.grid[over])):
        return None
    return over if all(block.grid.keys() <= {over} for block in design.also) else None


def _lines(arms: dict[str, Any], design: StudyDesign, over: str) -> dict[str, _Line]:
    """Name -> points; what does not vary has one point, under None."""
    found: dict[str, _Line] = {}
    if design.curve is None:
        for (arm, varied), (name, value) in _places(design, over).items():
            below = arms.get(arm, {})
            if "mean" in below and not varied:
                found[name] = {value: below}
            elif varied in below:
                found.setdefault(name, {})[value] = below[varied]
            elif not varied and UNCHANGED in below:
                found[f"{name} {UNCHANGED}"] = {value: below[UNCHANGED]}
        return found
    for row, numbers in _flat(arms).items():
        named = {
            number: measures[numbers["measure"]]
            for name, measures in numbers["conditions"].items()
            if (number := _number_before(f" {over}", name)) is not None
        }
        found[row] = {value: named[value] for value in sorted(named)} or {None: numbers}
    return found


def _number_before(text: str, name: str) -> float | None:
    """0.5 of "0.5 of the games"; None where something else is in front, or the text is missing."""
    front = name.removesuffix(text)
    try:
        return None if front == name else float(front)
    except ValueError:
        return None


def _places(design: StudyDesign, over: str) -> dict[tuple[str, str], tuple[str, Any]]:
    """An arm's row -> the line that it is on, and where on it."""
    found: dict[tuple[str, str], tuple[str, Any]] = {}
    for block in design.blocks:
        for arm, settings in itertools.product(block.arms, block.combinations):
            told = {key: f"{key}={value}" for key, value in settings.items()}
            rest = " ".join(told[key] for key in told if key != over)
            found[arm, " ".join(told.values())] = f"{arm} {rest}".strip(), settings.get(over)
    return found


def _draw_lines(axis: Any, lines: dict[str, _Line], names: dict[str, str]) -> None:
    """What does not vary is a level line with its interval as a band."""
    values = [value for line in lines.values() for value in line if value is not None]
    for name, line in lines.items():
        number, label = list(names).index(name), names[name]
        color = f"C{number}"
        if None in line:
            level = line[None]
            axis.axhline(level["mean"], color=color, linestyle="--", label=label)
            axis.axhspan(level["low"], level["high"], color=color, alpha=0.12, linewidth=0)
            continue
        numbers = list(line.values())
        means = [point["mean"] for point in numbers]
        marker = MARKERS[number % len(MARKERS)]
        axis.errorbar(
            list(line),
            means,
            _whiskers(numbers),
            marker=marker,
            capsize=3,
            color=color,
            label=label,
        )
    if all(is_number(value) and value > 0 for value in values):
        ticks = list(dict.fromkeys(values))
        axis.set_xscale("log")
        axis.set_xticks(ticks, [f"{value:g}" for value in ticks])
        axis.minorticks_off()


def _whiskers(numbers: list[_Numbers]) -> np.ndarray:
    below = [max(number["mean"] - number["low"], 0.0) for number in numbers]
    above = [max(number["high"] - number["mean"], 0.0) for number in numbers]
    return np.array([below, above])


def _measure(summary: dict[str, Any]) -> str:
    for arms in summary.values():
        for numbers in _flat(arms).values():
            return _NAMES.get(numbers["measure"], str(numbers["measure"]))
    return ""


_NAMES = {"normalized_score_100": "normalized score", "return_raw": "return", "top1": "accuracy"}
