"""Recall worked by hand."""

import numpy as np
import pytest

from retrieve_rl.retrieval import keys as keys_module
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.quality import (
    distances_to,
    milliseconds_per_query,
    quantiles,
    recall_at_k,
    true_neighbors,
)

LINE = np.array([[0.0], [10.0], [3.0], [4.0], [3.0]], np.float32)


def neighbors(rows, queries):
    rows = np.array(rows, np.int32)
    return Neighbors(rows, distances_to(LINE, queries, rows))


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([[2, 4, 3]], 1.0),
        ([[3, 4, 2]], 1.0),
        ([[2, 3, 0]], 2 / 3),
        ([[1, 0, -1]], 0.0),
        ([[-1, -1, -1]], 0.0),
    ],
)
def test_the_share_of_true_neighbors(rows, expected):
    queries = np.array([[3.1]], np.float32)
    truth = neighbors([[2, 4, 3]], queries)
    assert recall_at_k(neighbors(rows, queries), truth, LINE, queries) == pytest.approx(expected)


def test_any_of_two_duplicates_will_do():
    queries = np.array([[3.0], [9.0]], np.float32)
    truth, found = neighbors([[2], [1]], queries), neighbors([[4], [3]], queries)
    assert recall_at_k(found, truth, LINE, queries) == 0.5


def test_copies_that_differ_by_the_rounding_of_a_key_are_duplicates():
    key = np.array([[3.0, 4.0]], np.float32)  # of length 5
    copies = np.repeat(key, 4, axis=0) * np.float32([1, 1 + 3e-7, 1 - 3e-7, 1 + 3e-3])[:, None]
    found, truth = (Neighbors([[row]], [[0.0]]) for row in (1, 0))
    assert recall_at_k(found, truth, copies, key) == 1.0
    assert recall_at_k(Neighbors([[3]], [[0.0]]), truth, copies, key) == 0.0


@pytest.mark.parametrize("extra, expected", [([[2, 4]], 1.0), ([[2, 3]], 0.0)])
def test_one_more_true_neighbor_tells_where_ties_are(extra, expected):
    queries = np.array([[3.0]], np.float32)
    truth, found = neighbors(extra, queries), neighbors([[4]], queries)
    assert recall_at_k(found, truth, LINE, queries) == expected


def test_fewer_keys_than_asked_for_are_all_that_counts():
    queries = np.array([[0.0]], np.float32)
    truth = neighbors([[0, 2, -1, -1]], queries)
    assert recall_at_k(neighbors([[0, 2, -1, -1]], queries), truth, LINE, queries) == 1.0
    assert recall_at_k(neighbors([[0, 1, -1, -1]], queries), truth, LINE, queries) == 0.5


def test_rounded_distances_do_not_change_the_recall():
    queries = np.array([[3.1]], np.float32)
    truth = neighbors([[2, 4, 3]], queries)
    rounded = Neighbors(truth.indices, truth.distances * 1.01)
    assert recall_at_k(rounded, truth, LINE, queries) == 1.0


def test_exact_search_in_chunks_is_that_of_the_whole(rng, monkeypatch):
    monkeypatch.setattr(keys_module, "_CHUNK_BYTES", 100 * 4 * 4)
    keys = rng.normal(size=(730, 4)).astype(np.float32)
    queries = rng.normal(size=(6, 4)).astype(np.float32)
    chunked, whole = true_neighbors(keys, queries, 5), ExactIndex.build(keys).search(queries, 5)
    np.testing.assert_array_equal(chunked.indices, whole.indices)


def test_quantiles_of_what_is_finite():
    assert quantiles(np.array([1.0, np.inf, 3.0]))["q50"] == 2.0
    assert quantiles(np.array([np.inf])) == {}


def test_milliseconds_are_positive():
    assert milliseconds_per_query(ExactIndex.build(LINE), LINE, 2) > 0
