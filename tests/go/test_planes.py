"""Planes from packed rows: a position worked by hand, symmetries, masks, jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.go.planes import (
    NEIGHBOR_PLANES,
    OBSERVATION_PLANES,
    Outlooks,
    move_targets,
    neighbor_planes,
    observation_planes,
    outlooks,
    value_targets,
)
from retrieve_rl.go.points import BLACK, NO_MOVE, PASS, WHITE, pack_boards
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.symmetries import IMAGES, NUM_SYMMETRIES, turn_moves

OBSERVE = jax.jit(observation_planes)
NEIGHBORS = jax.jit(neighbor_planes)


@pytest.fixture
def positions():
    """Two rows: White to move after ba, ko at aa; Black to move after a pass."""
    boards = np.zeros((2, 81), np.uint8)
    boards[0, [1, 40]] = BLACK, WHITE
    boards[1, [80]] = BLACK
    moves = np.full((2, 10), NO_MOVE, np.uint8)
    moves[0, :3] = 10, PASS, 80
    moves[1, 0] = 0
    return Positions(
        boards=pack_boards(boards),
        to_move=np.array([WHITE, BLACK], np.uint8),
        ko=np.array([0, NO_MOVE], np.uint8),
        last_moves=np.array([1, PASS], np.uint8),
        plies=np.array([3, 8], np.uint16),
        games=np.array([1, 0], np.int32),
        next_moves=moves,
    )


@pytest.fixture
def games():
    final = np.zeros((2, 81), np.uint8)
    final[:, 2] = BLACK, WHITE
    return Outlooks(
        komi=np.array([7.0, 5.5], np.float32),
        outcomes=np.array([1, 1], np.int8),
        final_boards=pack_boards(final),
        owners=pack_boards(np.where(final == BLACK, WHITE, BLACK).astype(np.uint8)),
    )


def zeros(number):
    return jnp.zeros(number, jnp.int32)


def test_observation_by_hand(positions, games):
    planes = np.asarray(OBSERVE(positions, games.komi, zeros(2)))
    assert planes.shape == (2, 9, 9, len(OBSERVATION_PLANES)) and planes.dtype == np.float32
    own, opponent, empty, ko, last, passed, black, komi, ones = np.moveaxis(planes, -1, 0)
    assert np.argwhere(own).tolist() == [[0, 4, 4], [1, 8, 8]]
    assert np.argwhere(opponent).tolist() == [[0, 0, 1]]
    np.testing.assert_array_equal(own + opponent + empty, ones)
    assert np.argwhere(ko).tolist() == [[0, 0, 0]]
    assert np.argwhere(last).tolist() == [[0, 0, 1]]
    assert (passed[0] == 0).all() and (passed[1] == 1).all()
    assert (black[0] == 0).all() and (black[1] == 1).all()
    np.testing.assert_allclose(komi[:, 3, 3], [0.7, -0.55])
    assert (ones == 1).all()


def test_neighbor_by_hand(positions, games):
    planes = np.asarray(NEIGHBORS(positions, games, zeros(2), jnp.array([True, True])))
    assert planes.shape == (2, 9, 9, len(NEIGHBOR_PLANES))
    named = dict(zip(NEIGHBOR_PLANES, np.moveaxis(planes, -1, 0), strict=True))
    assert np.argwhere(named["own stones"]).tolist() == [[0, 4, 4], [1, 8, 8]]
    assert (named["outcome for the player"][0] == -1).all()
    assert (named["outcome for the player"][1] == 1).all()
    assert np.argwhere(named["opponent's stones at the end"]).tolist() == [[0, 0, 2], [1, 0, 2]]
    assert np.argwhere(named["own points at the end"]).tolist()[:1] == [[0, 0, 2]]
    assert not named["own stones at the end"].any()
    assert np.argwhere(named["move 1 from here"]).tolist() == [[0, 1, 1], [1, 0, 0]]
    assert not named["move 2 from here"].any() and not named["move 4 from here"].any()
    assert named["move 2 from here is a pass"][:, 0, 0].tolist() == [1, 0]
    assert named["the game has a move 2 from here"][:, 0, 0].tolist() == [1, 0]
    assert named["the game has a move 4 from here"][:, 0, 0].tolist() == [0, 0]


def test_a_missing_neighbor_is_zero(positions, games):
    planes = np.asarray(NEIGHBORS(positions, games, zeros(2), jnp.array([False, True])))
    assert not planes[0].any() and planes[1].any()


def test_colors_swapped_look_the_same_but_for_the_color_planes(positions, games):
    swapped = positions._replace(
        boards=(positions.boards & 0x55) << 1 | (positions.boards & 0xAA) >> 1,
        to_move=(3 - positions.to_move).astype(np.uint8),
    )
    here = np.asarray(OBSERVE(positions, games.komi, zeros(2)))
    there = np.asarray(OBSERVE(swapped, -games.komi, zeros(2)))
    color = OBSERVATION_PLANES.index("Black is to move")
    np.testing.assert_array_equal(np.delete(here, color, -1), np.delete(there, color, -1))
    np.testing.assert_array_equal(here[..., color], 1 - there[..., color])


@pytest.mark.parametrize("symmetry", range(NUM_SYMMETRIES))
def test_turned_planes_are_turned_positions(bundled, symmetry):
    rows = np.arange(0, bundled.positions.num_positions, 997)
    chosen = bundled.positions.take(rows)
    games = outlooks(bundled.games, chosen)
    turned = jnp.full(len(rows), symmetry)
    present = jnp.ones(len(rows), bool)
    for make in (
        lambda symmetries: OBSERVE(chosen, games.komi, symmetries),
        lambda symmetries: NEIGHBORS(chosen, games, symmetries, present),
    ):
        plain = np.asarray(make(jnp.zeros(len(rows), jnp.int32))).reshape(len(rows), 81, -1)
        result = np.asarray(make(turned)).reshape(len(rows), 81, -1)
        np.testing.assert_array_equal(result[:, IMAGES[symmetry, :81]], plain)


def test_targets(positions, games):
    np.testing.assert_array_equal(value_targets(positions, games.outcomes), [-1.0, 1.0])
    np.testing.assert_array_equal(value_targets(positions, np.zeros(2, np.int8)), [0.0, 0.0])
    moves, mask = jax.jit(move_targets)(positions, zeros(2))
    assert (
        moves[0, :4].tolist() == [10, PASS, 80, 0] and mask[0].tolist() == [True] * 3 + [False] * 7
    )
    assert mask[1].tolist() == [True] + [False] * 9
    turned, _ = move_targets(positions, jnp.array([5, 5]))
    assert turned[0, :3].tolist() == turn_moves(np.array([10, PASS, 80]), 5).tolist()


def test_the_move_played_is_an_empty_point_of_the_planes(bundled):
    chosen = bundled.positions.take(np.arange(0, bundled.positions.num_positions, 499))
    komi = outlooks(bundled.games, chosen).komi
    symmetries = jnp.arange(chosen.num_positions) % NUM_SYMMETRIES
    planes = np.asarray(OBSERVE(chosen, komi, symmetries)).reshape(chosen.num_positions, 81, -1)
    moves, mask = move_targets(chosen, symmetries)
    placed = np.flatnonzero(np.asarray(moves)[:, 0] != PASS)
    assert np.asarray(mask)[:, 0].all()
    empty = planes[..., OBSERVATION_PLANES.index("empty points")]
    assert (empty[placed, np.asarray(moves)[placed, 0]] == 1).all()
