"""The eight symmetries: a group, the same on points, boards and moves, on host and device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.go.board import NEIGHBORS
from retrieve_rl.go.points import NO_MOVE, PASS, pack_boards, unpack_boards
from retrieve_rl.go.symmetries import IMAGES, INVERSES, NUM_SYMMETRIES, turn_boards, turn_moves

ALL = np.arange(NUM_SYMMETRIES)


def test_images_of_two_points():
    # From (row 0, column 1): mirrored left to right, top to bottom, over the diagonal.
    assert turn_moves(np.full(8, 1), ALL).tolist() == [1, 7, 73, 79, 9, 63, 17, 71]
    assert turn_moves(np.full(8, 40), ALL).tolist() == [40] * 8


def test_passes_and_missing_moves_stay():
    for move in (PASS, NO_MOVE):
        assert turn_moves(np.full(8, move), ALL).tolist() == [move] * 8


def test_they_are_different_and_undone_by_their_inverses():
    assert len({tuple(images) for images in IMAGES.tolist()}) == NUM_SYMMETRIES
    moves = np.arange(NO_MOVE + 1)
    for symmetry in ALL:
        turned = turn_moves(moves, symmetry)
        np.testing.assert_array_equal(turn_moves(turned, INVERSES[symmetry]), moves)


def test_neighbors_stay_neighbors():
    for symmetry in ALL:
        turned = turn_moves(NEIGHBORS, symmetry)  # beyond the edge is 81, which stays
        np.testing.assert_array_equal(
            np.sort(turned, axis=1), np.sort(NEIGHBORS[turn_moves(np.arange(81), symmetry)], axis=1)
        )


@pytest.mark.parametrize("width", [81, 82])
def test_boards_turn_as_their_points(rng, width):
    boards = rng.integers(0, 3, (NUM_SYMMETRIES, 5, width), dtype=np.uint8)
    turned = turn_boards(boards, ALL[:, None])
    for symmetry in ALL:
        images = turn_moves(np.arange(width), symmetry)
        np.testing.assert_array_equal(turned[symmetry][:, images], boards[symmetry])
        np.testing.assert_array_equal(turn_boards(boards[symmetry], symmetry), turned[symmetry])
    np.testing.assert_array_equal(turn_boards(turned, INVERSES[:, None]), boards)


def test_host_and_device_agree(rng):
    boards = rng.integers(0, 3, (NUM_SYMMETRIES, 81), dtype=np.uint8)
    moves = rng.integers(0, 83, NUM_SYMMETRIES, dtype=np.uint8)
    np.testing.assert_array_equal(
        jax.jit(turn_boards)(jnp.asarray(boards), jnp.asarray(ALL)), turn_boards(boards, ALL)
    )
    np.testing.assert_array_equal(
        jax.jit(turn_moves)(jnp.asarray(moves), jnp.asarray(ALL)), turn_moves(moves, ALL)
    )


def test_packing_round_trips(rng):
    boards = rng.integers(0, 3, (7, 2, 81), dtype=np.uint8)
    packed = pack_boards(boards)
    assert packed.shape == (7, 2, 21) and packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack_boards(packed), boards)
    np.testing.assert_array_equal(jax.jit(unpack_boards)(jnp.asarray(packed)), boards)
    first = np.zeros(81, np.uint8)
    first[[0, 3, 80]] = 1, 2, 1
    assert pack_boards(first).tolist() == [0b10000001, *[0] * 19, 1]
