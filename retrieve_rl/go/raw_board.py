"""The control without a network: the position with the most similar stones."""

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.go.asking import TurnedNeighbors, merge
from retrieve_rl.go.data import GoData
from retrieve_rl.go.index import in_store
from retrieve_rl.go.points import BLACK, WHITE, unpack_boards
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.symmetries import turn_boards
from retrieve_rl.results import Run
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.neighbors import Neighbors

_ROWS_AT_ONCE = 262_144


def nearest_boards(
    data: GoData, rows: Int[np.ndarray, " B"], orientations: int, run: Run
) -> TurnedNeighbors:
    """The nearest training position of each held-out one; indices are rows of the store.

    Distances count the points that differ; one with stones of both players counts twice.

    Raises:
      Interrupted: a signal came.
    """
    asking = data.store.positions.take(rows)
    queries = np.concatenate([stone_rows(asking, turn) for turn in range(orientations)])
    nearest = _nearest(data, queries, run)
    found = [
        Neighbors(*(part[turn * len(rows) :][: len(rows)] for part in nearest))
        for turn in range(orientations)
    ]
    return in_store(data, merge(found, 1))


def stone_rows(positions: Positions, symmetry: int) -> Float[np.ndarray, "N 162"]:
    """Own stones, then the opponent's, as ones; each board turned."""
    boards = turn_boards(unpack_boards(np.asarray(positions.boards)), symmetry)
    own = positions.to_move[:, None]
    sides = [boards == own, boards == BLACK + WHITE - own]
    return np.concatenate(sides, axis=1).astype(np.float32)


def _nearest(data: GoData, queries: Float[np.ndarray, "B 162"], run: Run) -> Neighbors:
    """The nearest training position of each query; stones take 648 bytes, so a part at a time."""
    rows, positions = data.training_rows, data.store.positions
    indices = np.full((len(queries), 1), -1, np.int32)
    distances = np.full((len(queries), 1), np.inf, np.float32)
    with run.reporter.track("comparing raw boards", len(rows)) as advance:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            run.stop.raise_if_requested("all is kept but the report: run again to go on")
            part = positions.take(rows[start : start + _ROWS_AT_ONCE])
            found = ExactIndex.build(stone_rows(part, 0)).search(queries, 1)
            nearer = np.asarray(found.distances) < distances
            distances = np.where(nearer, found.distances, distances)
            indices = np.where(nearer, np.asarray(found.indices) + start, indices)
            advance(start + part.num_positions)
    return Neighbors(indices, distances)
