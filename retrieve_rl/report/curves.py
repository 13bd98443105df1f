"""Learning curves of runs, from their logs."""

from collections.abc import Mapping
from pathlib import Path

from retrieve_rl.report.page import Picture
from retrieve_rl.report.pictures import Curves, picture_of_curves
from retrieve_rl.training.curve import read_metrics

_MOST_LINES = 7
"""In one picture: more could not be told apart."""
_LEFT_OUT = ("gradient_norm",)


def curves_of_runs(runs: Mapping[str, Path]) -> list[Picture]:
    """A picture for each measure that was logged, a line for each of the first runs that did.

    Runs that are not there are left out. Raises DataError for a log that cannot be read.
    """
    by_measure: dict[str, Curves] = {}
    logged = {name: read_metrics(folder) for name, folder in runs.items()}
    there = {name: lines for name, lines in logged.items() if lines}
    for name, lines in list(there.items())[:_MOST_LINES]:
        for measure in lines[-1]:
            if measure != "step" and measure not in _LEFT_OUT:
                points = [(line["step"], line[measure]) for line in lines if measure in line]
                by_measure.setdefault(measure, {})[name] = points
    return [picture_of_curves(measure, curves) for measure, curves in by_measure.items()]
