"""How long cells will take, by what finished ones took."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from retrieve_rl.progress import in_words
from retrieve_rl.study.cell_files import CellResult
from retrieve_rl.study.design import Cell

_Kind = tuple[str, ...]


class ExpectedTime:
    """Mean seconds of finished cells of the same preset, the most alike there are: of the same arm
    and task, of the same arm, or of any."""

    def __init__(self, finished: Iterable[CellResult]) -> None:
        self._seconds: dict[_Kind, list[float]] = defaultdict(list)
        for one in finished:
            self._add(one.paper, one.preset, one.arm, one.task, sum(one.seconds.values()))

    def add(self, cell: Cell, seconds: float) -> None:
        """Learns of a cell that has just been computed."""
        self._add(cell.paper.name, cell.config.preset, cell.arm, cell.task, seconds)

    def seconds(self, cell: Cell) -> float | None:
        """None where no cell of this preset is finished."""
        kinds = _kinds(cell.paper.name, cell.config.preset, cell.arm, cell.task)
        known = next((self._seconds[kind] for kind in kinds if kind in self._seconds), None)
        return None if known is None else float(np.mean(known))

    def total(self, cells: Iterable[Cell]) -> float | None:
        """Of all of them, one after the other; None where nothing is known of one."""
        seconds = [self.seconds(cell) for cell in cells]
        known = [each for each in seconds if each is not None]
        return sum(known) if len(known) == len(seconds) else None

    def told(self, cells: Iterable[Cell]) -> str:
        """ ", about 5 min left", or nothing where nothing is known."""
        total = self.total(cells)
        return "" if total is None else f", about {in_words(total)} left"

    def _add(self, paper: str, preset: str, arm: str, task: str, seconds: float) -> None:
        for kind in _kinds(paper, preset, arm, task):
            self._seconds[kind].append(seconds)


def _kinds(paper: str, preset: str, arm: str, task: str) -> tuple[_Kind, ...]:
    return (paper, preset, arm, task), (paper, preset, arm), (paper, preset)
