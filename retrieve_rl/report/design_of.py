"""The design that the report of a study holds."""

from collections.abc import Iterable, Mapping
from typing import Any

from retrieve_rl.config import validate
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.study.design import StudyDesign


def design_of(report: Mapping[str, Any], source: str) -> StudyDesign:
    """The design, the keys of its grids in the order in which rows name them.

    A result file sorts its keys, so that a grid that was read from one has lost their order.

    Raises:
      DataError: it is none that this program knows.
    """
    try:
        design = validate(StudyDesign, report["design"], source=source)
    except UsageError as error:
        raise DataError(str(error)) from None
    rows = [
        row
        for of_task in report["summary"].values()
        for below in of_task.values()
        if "mean" not in below
        for row in below
    ]
    also = [block.model_copy(update={"grid": _ordered(block.grid, rows)}) for block in design.also]
    return design.model_copy(update={"grid": _ordered(design.grid, rows), "also": also})


def _ordered(grid: dict[str, Any], rows: Iterable[str]) -> dict[str, Any]:
    for row in rows:
        places = {key: f" {row}".find(f" {key}=") for key in grid}
        if all(place >= 0 for place in places.values()):
            return {key: grid[key] for key in sorted(grid, key=places.__getitem__)}
    return grid
