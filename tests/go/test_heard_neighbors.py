"""What an engine tells of the neighbors behind its last move."""

from types import SimpleNamespace

import numpy as np

from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.heard_neighbors import heard_neighbors
from retrieve_rl.go.points import BLACK, NO_MOVE, WHITE
from retrieve_rl.go.positions import Positions


def test_a_line_for_each_neighbor_says_how_its_game_ended():
    next_moves = np.full((2, 10), NO_MOVE, np.uint8)
    next_moves[:, :2] = [[0, 1], [2, NO_MOVE]]
    positions = Positions(
        boards=np.zeros((2, 21), np.uint8),
        to_move=np.array([BLACK, WHITE], np.uint8),
        ko=np.full(2, NO_MOVE, np.uint8),
        last_moves=np.full(2, NO_MOVE, np.uint8),
        plies=np.array([4, 7], np.uint16),
        games=np.arange(2, dtype=np.int32),
        next_moves=next_moves,
    )
    found = np.array([[1, 0, -1]])
    neighbors = TurnedNeighbors(found, np.array([[0.25, 1.5, np.inf]]), np.zeros_like(found))
    known = SimpleNamespace(positions=positions, games=SimpleNamespace(outcomes=np.array([0, -1])))
    agent = SimpleNamespace(heard={0: neighbors}, known=known)
    assert heard_neighbors(agent, 0).splitlines() == [
        "row 1 distance 0.25 ply 7 white to move, won by white: C9",
        "row 0 distance 1.5 ply 4 black to move, a draw: A9 B9",
    ]
    assert heard_neighbors(agent, 1) == "none"
