"""How a cost grows: its exponents, and its figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieve_rl.study.themes import LIGHT, MARKERS, drawn_in

Line = Mapping[int, float]
"""Size -> cost."""


class Panel(NamedTuple):
    """Costs over one size, both axes logarithmic.

    Attributes:
      size: what the horizontal axis says.
      cost: what the vertical one says.
      lines: name -> line.
    """

    size: str
    cost: str
    lines: Mapping[str, Line]


def exponent(line: Line) -> float:
    """p where c size^p fits the costs of the three largest sizes: at 1 cost doubles with size."""
    return _slope(line, 3)


def last_slope(line: Line) -> float:
    """The same of the two largest sizes: above the exponent where the curve bends upward."""
    return _slope(line, 2)


def slopes(**lines: Line) -> dict[str, float]:
    """Both of every line, for a summary."""
    return {
        f"{measure.__name__}_of_{name}": measure(line)
        for name, line in lines.items()
        for measure in (exponent, last_slope)
    }


def _slope(line: Line, num_sizes: int) -> float:
    largest = sorted(line.items())[-num_sizes:]
    sizes, costs = np.log(np.array(largest, float)).T
    return float(np.polyfit(sizes, costs, 1)[0])


def draw(panels: Sequence[Panel], title: str, path: Path) -> None:
    """Writes the panels side by side as PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    with drawn_in(LIGHT):
        figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, panel in zip(axes, panels, strict=True):
            for (name, line), marker in zip(panel.lines.items(), MARKERS, strict=False):
                sizes = sorted(line)
                axis.loglog(sizes, [line[size] for size in sizes], marker=marker, label=name)
                in_proportion = [line[sizes[-1]] * size / sizes[-1] for size in sizes]
                axis.loglog(sizes, in_proportion, linestyle=":", linewidth=1, color=LIGHT.ink)
            costs = [cost for line in panel.lines.values() for cost in line.values()]
            axis.set_ylim(min(costs) / 2, max(costs) * 2)
            for numbered in (axis.xaxis, axis.yaxis):
                numbered.set_major_formatter(EngFormatter(sep=""))
                numbered.set_minor_formatter("")
            axis.set_xlabel(panel.size)
            axis.set_ylabel(panel.cost)
            axis.legend(fontsize="small")
        figure.suptitle(f"{title}\ndotted: in proportion to the size", fontsize="medium")
        figure.savefig(path, dpi=150, metadata={"Software": None})
