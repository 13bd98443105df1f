"""Asking in several orientations: merged, without repetitions, turned the right way."""

import numpy as np

from retrieve_rl.go.asking import ask
from retrieve_rl.go.symmetries import NUM_SYMMETRIES, turn_boards, turn_moves
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.neighbors import Neighbors


def test_every_image_of_a_board_finds_it_and_turns_its_move(rng):
    boards = rng.integers(0, 3, (20, 81)).astype(np.float32)
    moves = rng.integers(0, 82, 20)
    index = ExactIndex.build(boards)
    for symmetry in range(NUM_SYMMETRIES):
        asked = turn_boards(boards, symmetry)
        found = ask(
            lambda turn, asked=asked: turn_boards(asked, turn),
            lambda queries: index.search(queries, 2),
            NUM_SYMMETRIES,
            2,
        )
        np.testing.assert_array_equal(found.indices[:, 0], np.arange(20))
        np.testing.assert_array_equal(found.distances[:, 0], 0)
        np.testing.assert_array_equal(found.symmetries[:, 0], symmetry)
        turned = turn_moves(moves[found.indices[:, 0]], found.symmetries[:, 0])
        np.testing.assert_array_equal(turned, turn_moves(moves, symmetry))


def test_a_row_is_listed_once_and_missing_ones_come_last():
    answers = [
        Neighbors(np.array([[4, 7, -1]]), np.array([[3.0, 5.0, np.inf]])),
        Neighbors(np.array([[7, 4, 2]]), np.array([[1.0, 6.0, 8.0]])),
    ]
    found = ask(lambda symmetry: np.array(symmetry), lambda q: answers[int(q)], 2, 4)
    np.testing.assert_array_equal(found.indices, [[7, 4, 2, -1]])
    np.testing.assert_array_equal(found.distances, [[1.0, 3.0, 8.0, np.inf]])
    np.testing.assert_array_equal(found.symmetries[:, :3], [[1, 0, 1]])
