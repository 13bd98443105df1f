"""Made-up Go: positions with their games and neighbors, and positions in play.

Stones and moves lie at random: what a network computes does not depend on them.
"""

import numpy as np

from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.neighbor_inputs import RetrievalSet
from retrieve_rl.go.planes import Outlooks
from retrieve_rl.go.points import NUM_POINTS, PASS, pack_boards, vertex_of
from retrieve_rl.go.positions import NUM_NEXT_MOVES, Positions
from retrieve_rl.go.referee import GameState, Referee

POSITIONS_PER_GAME = 64
_OPENED = 20


def retrieval_set(count: int) -> RetrievalSet:
    """So many positions, and their games."""
    rng = np.random.default_rng(0)
    games = -(-count // POSITIONS_PER_GAME)
    positions = Positions(
        boards=_boards(rng, count),
        to_move=rng.integers(1, 3, count, np.uint8),
        ko=rng.integers(0, NUM_POINTS, count, np.uint8),
        last_moves=rng.integers(0, NUM_POINTS, count, np.uint8),
        plies=rng.integers(0, 80, count, np.uint16),
        games=(np.arange(count) // POSITIONS_PER_GAME).astype(np.int32),
        next_moves=rng.integers(0, NUM_POINTS, (count, NUM_NEXT_MOVES), np.uint8),
    )
    outcomes = rng.choice(np.array([-1, 1], np.int8), games)
    komi = np.full(games, 7.0, np.float32)
    return RetrievalSet(
        positions, Outlooks(komi, outcomes, _boards(rng, games), _boards(rng, games))
    )


def neighbors(count: int, num_neighbors: int) -> TurnedNeighbors:
    """Of each of so many positions, among the same."""
    rng = np.random.default_rng(1)
    shape = (count, num_neighbors)
    distances = np.sort(rng.random(shape, np.float32), axis=1)
    return TurnedNeighbors(
        rng.integers(0, count, shape, np.int32), distances, np.zeros(shape, np.int8)
    )


def states_in_play(count: int) -> list[GameState]:
    """Games after twenty legal moves drawn at random."""
    return [_state(number) for number in range(count)]


def _state(number: int) -> GameState:
    rng = np.random.default_rng([2, number])
    referee = Referee(number, b"", komi=7.0)
    for _ in range(_OPENED):
        legal = np.flatnonzero(referee.state().legal)
        referee.hear(vertex_of(int(rng.choice(legal[legal != PASS]))))
    return referee.state()


def _boards(rng: np.random.Generator, count: int) -> np.ndarray:
    return pack_boards(rng.integers(0, 3, (count, NUM_POINTS), np.uint8))
