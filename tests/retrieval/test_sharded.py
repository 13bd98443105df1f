"""Merging worked by hand, and row numbers of the whole."""

import numpy as np

from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.sharded import Shard, ShardedIndex, merge, nearest_of


def test_the_nearest_of_all_answers_ties_by_row():
    one = Neighbors(np.array([[5, 1]]), np.array([[0.5, 2.0]]))
    other = Neighbors(np.array([[4, 3, -1]]), np.array([[0.5, 1.0, np.inf]]))
    merged = merge([one, other], 3)
    np.testing.assert_array_equal(merged.indices, [[4, 5, 3]])
    np.testing.assert_array_equal(merged.distances, [[0.5, 0.5, 1.0]])


def test_one_answer_is_put_in_order_too():
    rising = Neighbors(np.array([[5, 1]]), np.array([[0.5, 2.0]]))
    found = nearest_of([rising], 1, 2)
    np.testing.assert_array_equal(found.indices, [[5, 1]])
    np.testing.assert_array_equal(found.distances, [[0.5, 2.0]])
    np.testing.assert_array_equal(merge([rising], 1).indices, [[5]])
    tied = Neighbors(np.array([[5, 1], [7, 2]]), np.array([[0.5, 0.5], [0.25, 0.5]]))
    np.testing.assert_array_equal(nearest_of([tied], 2, 2).indices, [[1, 5], [7, 2]])
    np.testing.assert_array_equal(tied.indices, [[5, 1], [7, 2]])  # left as they were


def test_nobody_answers_with_nothing():
    nobody = nearest_of([], 1, 2)
    np.testing.assert_array_equal(nobody.indices, [[-1, -1]])
    np.testing.assert_array_equal(nobody.distances, [[np.inf, np.inf]])


def test_what_is_missing_stays_missing():
    empty = Neighbors(np.array([[-1, -1]]), np.array([[np.inf, np.inf]]))
    np.testing.assert_array_equal(merge([empty, empty], 2).indices, [[-1, -1]])


def test_rows_are_numbered_as_in_the_whole():
    first = Shard(ExactIndex.build(np.array([[0.0], [1.0]], np.float32)), 0)
    scattered = Shard(ExactIndex.build(np.array([[9.0], [2.0]], np.float32)), np.array([3, 2]))
    index = ShardedIndex((first, scattered))
    assert (index.num_keys, index.dim) == (4, 1)
    found = index.search(np.array([[0.4]], np.float32), 5)
    np.testing.assert_array_equal(found.indices, [[0, 1, 2, 3, -1]])
