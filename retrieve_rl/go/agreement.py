"""Whether neighbors play the query's move, and whether they are the very same position."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt64

from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.points import BLACK, NUM_POINTS, WHITE, unpack_boards
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.symmetries import NUM_SYMMETRIES, turn_boards, turn_moves
from retrieve_rl.signals import UNASKED, StopRequest

PLY_BUCKETS = ((0, 10), (10, 20), (20, 30), (30, 40), (40, 60), (60, None))
_ROWS_AT_ONCE = 65_536


def agrees(
    positions: Positions, queries: Int[np.ndarray, " B"], neighbors: TurnedNeighbors
) -> Bool[np.ndarray, "B K"]:
    """Where the neighbor's next move, turned into the query's orientation, is the query's.

    Args:
      positions: the store's; `queries` and the neighbors' indices are rows of it.
    """
    moves = turn_moves(positions.next_moves[neighbors.indices, 0], neighbors.symmetries)
    return (neighbors.indices >= 0) & (moves == positions.next_moves[queries, 0][:, None])


def is_same(
    positions: Positions, queries: Int[np.ndarray, " B"], neighbors: TurnedNeighbors
) -> Bool[np.ndarray, "B K"]:
    """Where the neighbor, turned, has the query's stones, player to move and forbidden point."""
    found = neighbors.indices
    boards = turn_boards(unpack_boards(positions.boards[found]), neighbors.symmetries)
    stones = (boards == unpack_boards(positions.boards[queries])[:, None]).all(axis=-1)
    to_move = positions.to_move[found] == positions.to_move[queries][:, None]
    ko = turn_moves(positions.ko[found], neighbors.symmetries) == positions.ko[queries][:, None]
    return (found >= 0) & stones & to_move & ko


def same_stones(
    boards: UInt8[np.ndarray, "B 21"], known: UInt8[np.ndarray, "N 21"]
) -> Bool[np.ndarray, " B"]:
    """Whether each packed board is, in any orientation, one of the known ones."""
    return np.isin(canonical(boards), canonical(known))


def canonical(
    boards: UInt8[np.ndarray, "N 21"], stop: StopRequest = UNASKED
) -> UInt64[np.ndarray, " N"]:
    """A number for each packed board: the same where boards are equal up to symmetry, else as good
    as never.

    Raises:
      Interrupted: a signal came.
    """
    parts = []
    for start in range(0, len(boards), _ROWS_AT_ONCE):
        stop.raise_if_requested("all is kept but the report: run again to go on")
        points = unpack_boards(np.asarray(boards[start : start + _ROWS_AT_ONCE]))
        images = [_number(turn_boards(points, symmetry)) for symmetry in range(NUM_SYMMETRIES)]
        parts.append(np.min(images, axis=0))
    return np.concatenate(parts)


def shares(
    hits: Bool[np.ndarray, " B"], plies: Int[np.ndarray, " B"], seen: Bool[np.ndarray, " B"]
) -> dict[str, Any]:
    """The share of hits among all, among those never seen in training, and by ply."""
    return {
        "all": _share(hits),
        "never_seen": _share(hits[~seen]),
        "by_ply": {
            name: {"positions": int(inside.sum()), "share": _share(hits[inside])}
            for name, inside in plies_in_buckets(plies).items()
        },
    }


def _number(points: np.ndarray) -> np.ndarray:
    """The sum of a random number for each stone (Zobrist, 1970)."""
    numbers = np.random.default_rng(0).integers(0, 2**64, (2, NUM_POINTS), np.uint64)
    total = np.zeros(len(points), np.uint64)
    for color, of_points in zip((BLACK, WHITE), numbers, strict=True):
        total += np.where(points == color, of_points, np.uint64(0)).sum(axis=1, dtype=np.uint64)
    return total


def plies_in_buckets(plies: Int[np.ndarray, " B"]) -> dict[str, Bool[np.ndarray, " B"]]:
    """Which positions are in each part of a game, by name, in order."""
    return {
        f"{low}-{high - 1}" if high else f"{low}+": (plies >= low)
        & (plies < (high or np.iinfo(np.int32).max))
        for low, high in PLY_BUCKETS
    }


def _share(hits: np.ndarray) -> float | None:
    return float(hits.mean()) if len(hits) else None
