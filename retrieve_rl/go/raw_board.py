"""The control without a network: the position with the most similar stones."""

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.go.asking import TurnedNeighbors, ask
from retrieve_rl.go.data import GoData
from retrieve_rl.go.index import in_store
from retrieve_rl.go.points import BLACK, WHITE, unpack_boards
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.symmetries import turn_boards
from retrieve_rl.retrieval.exact import ExactIndex


def nearest_boards(data: GoData, rows: Int[np.ndarray, " B"], orientations: int) -> TurnedNeighbors:
    """The nearest training position of each held-out one; indices are rows of the store.

    Distances count the points that differ; one with stones of both players counts twice.
    """
    positions = data.store.positions
    index = ExactIndex.build(stone_rows(positions.take(data.training_rows), 0))
    asking = positions.take(rows)
    found = ask(
        lambda symmetry: stone_rows(asking, symmetry),
        lambda queries: index.search(queries, 1),
        orientations,
        1,
    )
    return in_store(data, found)


def stone_rows(positions: Positions, symmetry: int) -> Float[np.ndarray, "N 162"]:
    """Own stones, then the opponent's, as ones; each board turned."""
    boards = turn_boards(unpack_boards(np.asarray(positions.boards)), symmetry)
    own = positions.to_move[:, None]
    sides = [boards == own, boards == BLACK + WHITE - own]
    return np.concatenate(sides, axis=1).astype(np.float32)
