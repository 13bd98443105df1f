"""Learning curves of runs, from their logs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieve_rl.report.page import Picture
from retrieve_rl.report.pictures import Curves, picture_of_curves
from retrieve_rl.training.curve import read_metrics

_MOST_LINES = 7
"""In one picture: more could not be told apart."""
_LEFT_OUT = ("gradient_norm",)


class RowCurves(NamedTuple):
    """Learning curves of the rows of a study.

    Attributes:
      note: which rows are not drawn; empty where all with a log are.
    """

    pictures: list[Picture]
    note: str


def curves_of_rows(rows: Mapping[str, Sequence[Path]], title: str = "") -> RowCurves:
    """A picture for each measure that was logged, a line for each row: the mean over its runs.

    Runs that are not there are left out. Raises DataError for a log that cannot be read.

    Args:
      rows: name -> folders of its runs, one a seed.
      title: where there are pictures of several tasks.
    """
    logged = {
        name: [lines for lines in map(read_metrics, folders) if lines]
        for name, folders in rows.items()
    }
    there = [name for name, runs in logged.items() if runs]
    by_measure: dict[str, Curves] = {}
    for name in _spread(there):
        for measure in logged[name][0][-1]:
            if measure != "step" and measure not in _LEFT_OUT:
                points = mean_curve(logged[name], measure)
                if points:
                    by_measure.setdefault(measure, {})[name] = points
    missing = [name for name in there if name not in _spread(there)]
    note = f"not drawn, to keep lines apart: {', '.join(missing)}" if missing else ""
    pictures = [picture_of_curves(measure, found, title) for measure, found in by_measure.items()]
    return RowCurves(pictures, note)


def _spread(names: Sequence[str]) -> list[str]:
    """At most so many as can be told apart, from the first to the last."""
    if len(names) <= _MOST_LINES:
        return list(names)
    return [names[round(place)] for place in np.linspace(0, len(names) - 1, _MOST_LINES)]


def mean_curve(
    runs: Sequence[Sequence[Mapping[str, float]]], measure: str
) -> list[tuple[float, float]]:
    """Over the runs, at the steps that all of them logged."""
    values = [{line["step"]: line[measure] for line in run if measure in line} for run in runs]
    values = [each for each in values if each]
    steps = sorted(set.intersection(*map(set, values)))
    return [(step, float(np.mean([each[step] for each in values]))) for step in steps]
