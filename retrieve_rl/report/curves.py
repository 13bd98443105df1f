"""Learning curves of runs, from their logs."""

import json
from collections.abc import Mapping
from pathlib import Path

from retrieve_rl.errors import DataError
from retrieve_rl.report.page import Picture
from retrieve_rl.report.pictures import Curves, picture_of_curves
from retrieve_rl.training.curve import FILE_NAME

_MOST_LINES = 7
"""In one picture: more could not be told apart."""
_LEFT_OUT = ("gradient_norm",)


def curves_of_runs(runs: Mapping[str, Path]) -> list[Picture]:
    """A picture for each measure that was logged, a line for each of the first runs that did.

    Runs that are not there are left out. Raises DataError for a log that cannot be read.
    """
    by_measure: dict[str, Curves] = {}
    logged = {name: _logged(folder / FILE_NAME) for name, folder in runs.items()}
    there = {name: lines for name, lines in logged.items() if lines}
    for name, lines in list(there.items())[:_MOST_LINES]:
        for measure in lines[-1]:
            if measure != "step" and measure not in _LEFT_OUT:
                points = [(line["step"], line[measure]) for line in lines if measure in line]
                by_measure.setdefault(measure, {})[name] = points
    return [picture_of_curves(measure, curves) for measure, curves in by_measure.items()]


def _logged(log: Path) -> list[dict[str, float]]:
    if not log.exists():
        return []
    try:
        return [json.loads(line) for line in log.read_text().splitlines()]
    except ValueError as error:
        raise DataError(f"{log} is not JSON lines: {error}") from None
