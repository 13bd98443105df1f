"""What every index promises, and which one is chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve_rl.errors import MissingDependencyError
from retrieve_rl.retrieval import index as index_module
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.index import EXACT_UP_TO, choose
from retrieve_rl.retrieval.scann_index import ScannIndex


def brute_force(keys, queries, num_neighbors):
    distances = np.sum((queries[:, None].astype(np.float64) - keys) ** 2, axis=-1)
    padded = np.pad(distances, ((0, 0), (0, num_neighbors)), constant_values=np.inf)
    return distances, np.sort(padded, axis=1)[:, :num_neighbors]


def check(index, keys, queries, num_neighbors):
    found = index.search(queries, num_neighbors)
    indices, distances = np.asarray(found.indices), np.asarray(found.distances)
    assert indices.dtype == np.int32 and distances.dtype == np.float32
    assert indices.shape == distances.shape == (len(queries), num_neighbors)
    everything, best = brute_force(keys, queries, num_neighbors)
    np.testing.assert_allclose(distances, best, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(indices >= 0, np.isfinite(best))
    for row, present, nearest in zip(everything, indices, best, strict=True):
        present = present[present >= 0]
        assert len(set(present)) == len(present)
        np.testing.assert_allclose(row[present], nearest[: len(present)], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 5, 999, 1500])
@pytest.mark.parametrize("num_neighbors", [1, 10])
def test_answers_are_those_of_brute_force(make_index, rng, rows, num_neighbors):
    keys = rng.normal(size=(rows, 6)).astype(np.float32)
    index = make_index(keys)
    assert (index.num_keys, index.dim) == (rows, 6)
    check(index, keys, rng.normal(size=(7, 6)).astype(np.float32), num_neighbors)


def test_every_key_finds_itself(make_index, rng):
    keys = rng.normal(size=(1200, 5)).astype(np.float32)
    found = make_index(keys).search(keys, 1)
    np.testing.assert_array_equal(np.asarray(found.indices)[:, 0], np.arange(1200))
    np.testing.assert_allclose(np.asarray(found.distances), 0.0, atol=1e-5)


def test_of_duplicates_each_comes_once(make_index):
    keys = np.ones((40, 3), np.float32)
    found = make_index(keys).search(keys[:2], 40)
    assert [sorted(row) for row in np.asarray(found.indices).tolist()] == [list(range(40))] * 2


def test_nobody_asks(make_index, rng):
    index = make_index(rng.normal(size=(8, 3)).astype(np.float32))
    assert np.asarray(index.search(np.zeros((0, 3), np.float32), 4).indices).shape == (0, 4)


@pytest.mark.parametrize("width, num_neighbors", [(4, 2), (3, 0)])
def test_questions_that_make_no_sense(make_index, rng, width, num_neighbors):
    index = make_index(rng.normal(size=(8, 3)).astype(np.float32))
    with pytest.raises(ValueError, match="width 3, queries 4|at least 1, found 0"):
        index.search(np.zeros((1, width), np.float32), num_neighbors)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), rows=st.sampled_from([3, 40, 1001]))
def test_on_small_whole_numbers_with_many_ties(make_index, seed, rows):
    rng = np.random.default_rng(seed)
    keys = rng.integers(-3, 4, (rows, 4)).astype(np.float32)
    check(make_index(keys), keys, rng.integers(-3, 4, (5, 4)).astype(np.float32), 9)


@pytest.mark.parametrize("rows", [1, 700, 1300])
def test_what_is_saved_answers_the_same(rng, tmp_path, make_scann, rows):
    keys = rng.normal(size=(rows, 6)).astype(np.float32)
    queries = rng.normal(size=(9, 6)).astype(np.float32)
    before = make_scann(keys)
    (tmp_path / "scann").mkdir()
    before.save(tmp_path / "scann")
    after = ScannIndex.load(tmp_path / "scann", before.parameters, rows, 6)
    (tmp_path / "exact").mkdir()
    exact = ExactIndex.build(keys)
    exact.save(tmp_path / "exact")
    for old, new in ((before, after), (exact, ExactIndex.load(tmp_path / "exact"))):
        for one, other in zip(old.search(queries, 4), new.search(queries, 4), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_choice_follows_the_number_of_keys():
    assert choose(EXACT_UP_TO).kind == "exact"
    assert choose(EXACT_UP_TO + 1).kind == "scann"
    assert "200,001 keys" in choose(EXACT_UP_TO + 1).reason
    assert choose(5, "scann").kind == "scann"


def test_without_scann_exact_search_answers_and_says_so(monkeypatch):
    monkeypatch.setattr(index_module, "scann_is_here", lambda: False)
    choice = choose(10**6)
    assert choice.kind == "exact" and "ScaNN is not installed" in choice.reason
    with pytest.raises(MissingDependencyError, match="install scann, or ask for the exact"):
        choose(10**6, "scann")
