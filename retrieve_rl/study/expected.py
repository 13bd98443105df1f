"""How long cells will take, by what finished ones took."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from retrieve_rl.progress import in_words
from retrieve_rl.study.cell_files import CellResult
from retrieve_rl.study.design import Cell

_Kind = tuple[str, ...]
_NAMES = {"task", "arm", "preset"}


class ExpectedTime:
    """Mean seconds of finished cells of the same preset and backbone, the most alike there are: of
    the same arm and task, of the same arm, or of any."""

    def __init__(self, finished: Iterable[CellResult]) -> None:
        self._seconds: dict[_Kind, list[float]] = defaultdict(list)
        for one in finished:
            kinds = _kinds(one.paper, one.preset, one.arm, one.task, one.identity)
            self._add(kinds, sum(one.seconds.values()))

    def add(self, cell: Cell, seconds: float) -> None:
        """Learns of a cell that has just been computed."""
        self._add(_kinds_of(cell), seconds)

    def seconds(self, cell: Cell) -> float | None:
        """None where no such cell is finished."""
        found = (self._seconds[kind] for kind in _kinds_of(cell) if kind in self._seconds)
        known = next(found, None)
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

    def _add(self, kinds: Iterable[_Kind], seconds: float) -> None:
        for kind in kinds:
            self._seconds[kind].append(seconds)


def _kinds_of(cell: Cell) -> tuple[_Kind, ...]:
    return _kinds(cell.paper.name, cell.config.preset, cell.arm, cell.task, cell.identity)


def _kinds(
    paper: str, preset: str, arm: str, task: str, identity: Mapping[str, Any]
) -> tuple[_Kind, ...]:
    """From the narrowest to the widest; a name outside every table, the backbone's, splits all."""
    named = {name for name, value in identity.items() if isinstance(value, str)} - _NAMES
    common = (paper, preset, *(f"{name}={identity[name]}" for name in sorted(named)))
    return (*common, arm, task), (*common, arm), common
