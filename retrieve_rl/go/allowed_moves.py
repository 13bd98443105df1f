"""Which legal moves an agent considers: none that the rules alone show to be senseless.

A search over a learned model does not know when a game is over, and games are scored by the area of
the last board, with nothing taken off. So:

- It passes only where the board as it stands does not lose for it, or where nothing else is left to
  play: otherwise the opponent's pass would end a game whose dead stones had yet to be taken.
- Where the opponent has passed and the board as it stands wins, it passes, and has won.
- It never fills its own eyes of one point.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from retrieve_rl.go.board import NEIGHBORS, area_scores_of
from retrieve_rl.go.points import BLACK, EMPTY, NUM_POINTS, PASS, SIZE, WHITE
from retrieve_rl.go.referee import GameState

_BEYOND = NUM_POINTS


def _diagonals() -> np.ndarray:
    grid = np.full((SIZE + 2, SIZE + 2), _BEYOND)
    grid[1:-1, 1:-1] = np.arange(NUM_POINTS).reshape(SIZE, SIZE)
    around = (grid[:-2, :-2], grid[:-2, 2:], grid[2:, :-2], grid[2:, 2:])
    return np.stack([part.ravel() for part in around], axis=1)


DIAGONALS = _diagonals()
"""[81, 4]: the points diagonally beside a point; 81 beyond the edge."""


def allowed_moves(states: Sequence[GameState]) -> Bool[np.ndarray, "B 82"]:
    """The moves an agent chooses from in each position; at least one, all of them legal."""
    if not states:
        return np.zeros((0, NUM_POINTS + 1), bool)
    stones = np.stack([state.stones for state in states])
    to_move = np.array([state.to_move for state in states])
    komi = np.array([state.komi for state in states])
    allowed = np.stack([state.legal for state in states])
    allowed[:, :NUM_POINTS] &= ~eyes(stones, to_move)

    for_black = area_scores_of(stones) - komi
    margins = np.where(to_move == BLACK, for_black, -for_black)
    allowed[:, PASS] = (margins >= 0) | ~allowed[:, :NUM_POINTS].any(axis=1)
    passed = np.array([state.moves.endswith(bytes((PASS,))) for state in states])
    won = passed & (margins > 0)
    allowed[won] = np.arange(NUM_POINTS + 1) == PASS
    return allowed


def eyes(
    stones: UInt8[np.ndarray, "B 81"], to_move: UInt8[np.ndarray, " B"]
) -> Bool[np.ndarray, "B 81"]:
    """Empty points that are eyes of the player to move, by the usual rule of playouts: his stones
    above, below, left and right, and of the diagonals one at most the opponent's, at the edge none.
    """
    beyond = np.zeros((len(stones), 1), bool)
    own = np.hstack([stones == to_move[:, None], ~beyond])
    opponents = np.hstack([stones == (BLACK + WHITE - to_move)[:, None], beyond])
    at_edge = (DIAGONALS == _BEYOND).any(axis=1)
    broken = opponents[:, DIAGONALS].sum(axis=2) + at_edge
    return (stones == EMPTY) & own[:, NEIGHBORS].all(axis=2) & (broken < 2)
