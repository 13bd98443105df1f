"""Agreement by hand: moves, sameness and occurrence, each in the right orientation."""

import numpy as np
import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.go.agreement import agrees, canonical, is_same, same_stones, shares
from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.points import BLACK, NO_MOVE, PASS, WHITE, pack_boards
from retrieve_rl.go.positions import Positions
from retrieve_rl.signals import StopRequest


@pytest.fixture
def positions():
    """0: a stone at aa, ko at ba, plays ca. 1: its mirror image. 2: as 1, other player to move.
    3: another board, passes."""
    boards = np.zeros((4, 81), np.uint8)
    boards[0, 0] = boards[1, 8] = boards[2, 8] = BLACK
    boards[3, 0] = WHITE
    moves = np.full((4, 10), NO_MOVE, np.uint8)
    moves[:, 0] = 2, 6, 2, PASS
    return Positions(
        boards=pack_boards(boards),
        to_move=np.array([WHITE, WHITE, BLACK, WHITE], np.uint8),
        ko=np.array([1, 7, 7, NO_MOVE], np.uint8),
        last_moves=np.full(4, NO_MOVE, np.uint8),
        plies=np.zeros(4, np.uint16),
        games=np.arange(4, dtype=np.int32),
        next_moves=moves,
    )


@pytest.fixture
def neighbors():
    """Query 0 finds 1 and 2 mirrored, 1 as it is, and nothing."""
    indices = np.array([[1, 2, 1, -1]])
    return TurnedNeighbors(indices, np.zeros((1, 4)), np.array([[1, 1, 0, 0]]))


def test_moves_and_positions_are_compared_in_the_query_s_orientation(positions, neighbors):
    queries = np.array([0])
    np.testing.assert_array_equal(
        agrees(positions, queries, neighbors), [[True, False, False, False]]
    )
    np.testing.assert_array_equal(
        is_same(positions, queries, neighbors), [[True, False, False, False]]
    )


def test_a_board_occurs_in_any_orientation(positions):
    found = same_stones(positions.boards, positions.boards[[1]])
    np.testing.assert_array_equal(found, [True, True, True, False])


def test_a_signal_ends_the_comparison_of_boards(positions):
    with pytest.raises(Interrupted, match="run again to go on"):
        canonical(positions.boards, StopRequest(15))


def test_shares_are_given_twice_and_by_ply():
    hits, seen = np.array([True, False, True, True]), np.array([True, False, False, True])
    told = shares(hits, np.array([0, 9, 10, 99]), seen)
    assert told["all"] == 0.75 and told["never_seen"] == 0.5
    assert told["by_ply"]["0-9"] == {"positions": 2, "share": 0.5}
    assert told["by_ply"]["60+"] == {"positions": 1, "share": 1.0}
    assert told["by_ply"]["20-29"] == {"positions": 0, "share": None}
    assert shares(hits, np.zeros(4), np.ones(4, bool))["never_seen"] is None
