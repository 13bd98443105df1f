"""How long cells will take, by what finished ones took."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from retrieve_rl.progress import in_words
from retrieve_rl.study.cell_files import CellResult
from retrieve_rl.study.design import Cell

_Kind = tuple[str, ...]
_NAMES = {"task", "arm", "preset"}
_OF_MATCH = ("opponent", "games", "simulations", "player")


class _Took(NamedTuple):
    """Seconds of a finished cell: of its training, by the step, and of all else."""

    step: float
    other: float


class ExpectedTime:
    """Mean seconds of finished cells of the same preset, backbone and match, the most alike there
    are: of the same arm and task, of the same arm, or of any. Training counts by the step."""

    def __init__(self, finished: Iterable[CellResult]) -> None:
        self._took: dict[_Kind, list[_Took]] = defaultdict(list)
        for one in finished:
            self.add(one)

    def add(self, finished: CellResult) -> None:
        """Learns of a cell."""
        one, training = finished, finished.seconds.get("train", 0.0)
        step = training / one.steps if one.steps else 0.0  # an arm without a training has none
        took = _Took(step, sum(one.seconds.values()) - one.steps * step)
        for kind in _kinds(one.paper, one.preset, one.arm, one.task, one.identity):
            self._took[kind].append(took)

    def seconds(self, cell: Cell) -> float | None:
        """None where no such cell is finished."""
        took = self._most_alike(cell)
        return None if took is None else took.step * _steps_of(cell) + took.other

    def total(self, cells: Iterable[Cell]) -> float | None:
        """Of all of them, one after the other; None where nothing is known of one. A training that
        several share counts once."""
        total, trained = 0.0, set()
        for cell in cells:
            took = self._most_alike(cell)
            if took is None:
                return None
            training = (cell.task, cell.arm, cell.seed, cell.paper.config_hash(cell.config))
            if training not in trained:
                total += took.step * _steps_of(cell)
            trained.add(training)
            total += took.other
        return total

    def told(self, cells: Iterable[Cell]) -> str:
        """ ", about 5 min left", or nothing where nothing is known."""
        total = self.total(cells)
        return "" if total is None else f", about {in_words(total)} left"

    def _most_alike(self, cell: Cell) -> _Took | None:
        found = next((self._took[kind] for kind in _kinds_of(cell) if kind in self._took), None)
        return None if found is None else _Took(*np.mean(found, axis=0).tolist())


def _steps_of(cell: Cell) -> int:
    return cell.paper.steps(cell.config)


def _kinds_of(cell: Cell) -> tuple[_Kind, ...]:
    return _kinds(cell.paper.name, cell.config.preset, cell.arm, cell.task, cell.identity)


def _kinds(
    paper: str, preset: str, arm: str, task: str, identity: Mapping[str, Any]
) -> tuple[_Kind, ...]:
    """From the narrowest to the widest; a match, and a name outside every table, the backbone's,
    split all."""
    named = {name for name, value in identity.items() if isinstance(value, str)} - _NAMES
    match = identity.get("play", {})
    played = [f"play.{name}={match[name]}" for name in _OF_MATCH if name in match]
    common = (paper, preset, *(f"{name}={identity[name]}" for name in sorted(named)), *played)
    return (*common, arm, task), (*common, arm), common
