"""Drawings for pages, each once for a light page and once for a dark one."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrieve_rl.report.page import Picture
from retrieve_rl.study.design import StudyDesign
from retrieve_rl.study.figure import figure_of
from retrieve_rl.study.themes import DARK, LIGHT, MARKERS, Theme, drawn_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MARKERS = 20
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}

Curves = dict[str, list[tuple[float, float]]]
"""Name of a line -> its points (step, value)."""


def picture_of_study(summary: dict[str, Any], design: StudyDesign) -> Picture:
    """The figure of a study."""
    alt = f"{design.title}: {', '.join(design.arms)} on {', '.join(design.tasks)}, see the table"
    return _picture("figure", alt, lambda theme: figure_of(summary, design, theme))


def picture_of_curves(measure: str, curves: Curves, title: str = "") -> Picture:
    """A measure over the steps of training, a line each."""
    alt = " ".join(filter(None, [title, f"{measure} by step of training: {', '.join(curves)}"]))
    name = "-".join(filter(None, ["curve", title, measure]))
    return _picture(name, alt, lambda theme: _draw_curves(measure, curves, title))


def _draw_curves(measure: str, curves: Curves, title: str) -> "Figure":
    from matplotlib.figure import Figure

    several = len(curves) > 1
    height = 3.2 + (0.2 * len(curves) if several else 0.0)
    figure = Figure(figsize=(5.2, height), layout="constrained")
    axis = figure.subplots()
    for number, (name, points) in enumerate(curves.items()):
        steps, values = zip(*points, strict=True)
        every = max(1, len(points) // _MOST_MARKERS)
        marker = MARKERS[number % len(MARKERS)]
        axis.plot(steps, values, label=name, marker=marker, markevery=every, markersize=4)
    axis.set_title(title, fontsize="medium")
    axis.set_xlabel("step")
    axis.set_ylabel(measure.replace("_", " "))
    if several:
        figure.legend(loc="outside lower left", fontsize="small")
    return figure


def _picture(name: str, alt: str, make: Callable[[Theme], "Figure"]) -> Picture:
    def drawn(theme: Theme, kind: str) -> bytes:
        file = io.BytesIO()
        with drawn_in(theme):
            make(theme).savefig(file, format=kind, dpi=150, metadata=_METADATA[kind])
        return file.getvalue()

    return Picture(name, alt, drawn(LIGHT, "png"), drawn(LIGHT, "svg"), drawn(DARK, "svg"))
