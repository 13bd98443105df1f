"""Exact search: points worked by hand, hidden groups, and brute force at every block border."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.leaves import leaves_of, make_leaves, padded
from retrieve_rl.retrieval.neighbors import (
    NO_GROUP,
    Neighbors,
    cut,
    gather,
    nearest,
    nearest_in_blocks,
)

COMPILED = jax.jit(nearest, static_argnames="num_neighbors")
LINE = jnp.array([[0.0], [10.0], [3.0], [4.0]])


def found(keys, queries, num_neighbors, search=COMPILED, **groups):
    arrays = (jnp.asarray(keys), jnp.asarray(queries))
    result = search(*arrays, num_neighbors=num_neighbors, **groups)
    assert result.indices.dtype == jnp.int32 and result.distances.dtype == jnp.float32
    return np.asarray(result.indices), np.asarray(result.distances)


def brute_force(keys, queries, num_neighbors, key_groups=None, not_from=None):
    """[B, N] distances, infinite where hidden, and the k smallest of each row."""
    differences = np.asarray(queries, np.float64)[:, None] - np.asarray(keys, np.float64)
    distances = np.sum(differences**2, axis=-1)
    if key_groups is not None:
        hidden = (key_groups[None, None] == not_from[:, :, None]) & (
            not_from[..., None] != NO_GROUP
        )
        distances[hidden.any(axis=1)] = np.inf
    padded = np.pad(distances, ((0, 0), (0, num_neighbors)), constant_values=np.inf)
    return distances, np.sort(padded, axis=1)[:, :num_neighbors]


def check(result, keys, queries, num_neighbors, rtol=0.0, **groups):
    """Distances are brute force's; every index is a row at its distance, and none comes twice."""
    indices, distances = result
    all_distances, best = brute_force(keys, queries, num_neighbors, **groups)
    np.testing.assert_allclose(distances, best, rtol=rtol)
    np.testing.assert_array_equal(indices == -1, np.isinf(best))
    for row in range(len(indices)):
        present = indices[row][indices[row] >= 0]
        assert len(set(present)) == len(present)
        np.testing.assert_allclose(
            all_distances[row, present], distances[row][: len(present)], rtol=rtol
        )
    tied = (distances[:, 1:] == distances[:, :-1]) & (indices[:, 1:] >= 0)
    assert np.all(np.diff(indices)[tied] > 0)


def check_rows(result, keys, queries, num_neighbors, **groups):
    """As `check`; of rows at equal distances, which must be exact, the first are chosen."""
    check(result, keys, queries, num_neighbors, **groups)
    distances, best = brute_force(keys, queries, num_neighbors, **groups)
    first = np.argsort(distances, axis=1, kind="stable")[:, :num_neighbors]
    first = np.pad(first, ((0, 0), (0, num_neighbors - first.shape[1])), constant_values=-1)
    np.testing.assert_array_equal(result[0], np.where(np.isinf(best), -1, first))


def test_of_rows_at_equal_distances_the_first_are_chosen(rng):
    keys = np.full((96, 1), 100.0, np.float32)
    keys[[32, 80, 81], 0] = [1, 0, 1]
    indices, _ = found(keys, [[0.0]], 2)
    np.testing.assert_array_equal(indices, [[80, 32]])
    keys = rng.integers(0, 6, (3000, 3)).astype(np.float32)
    check_rows(found(keys, keys[:40], 25), keys, keys[:40], 25)


@pytest.mark.parametrize("rows", [9000, 100_003])
def test_of_many_rows_at_few_distances_the_first_are_chosen(rng, rows):
    keys = rng.integers(0, 2000, (rows, 1)).astype(np.float32)
    queries = np.array([[0.0], [77.0], [500.0]], np.float32)
    check_rows(found(keys, queries, 9), keys, queries, 9)
    groups = rng.integers(0, 2, rows).astype(np.int32)
    hides = {"key_groups": groups, "not_from": np.array([[0], [1], [NO_GROUP]], np.int32)}
    check_rows(found(keys, queries, 9, **hides), keys, queries, 9, **hides)


def test_points_worked_by_hand():
    indices, distances = found(LINE, [[3.2], [10.0]], 2)
    np.testing.assert_array_equal(indices, [[2, 3], [1, 3]])
    np.testing.assert_allclose(distances, [[0.04, 0.64], [0.0, 36.0]], rtol=1e-5, atol=1e-7)


def products(lowered):
    return [line for line in lowered.as_text().splitlines() if "dot_general" in line]


def test_no_device_rounds_what_decides_neighbors():
    """A GPU would multiply in TF32."""
    keys = jnp.zeros((5000, 4))
    lowered = [
        COMPILED.lower(keys, keys[:3], num_neighbors=2),
        leaves_of.lower(make_leaves(np.eye(40, 4, dtype=np.float32), 4), padded(keys)),
    ]
    found = [products(one) for one in lowered]
    assert all(found)
    assert all("precision = [HIGHEST, HIGHEST]" in line for one in found for line in one)


def test_fewer_keys_than_asked_for():
    indices, distances = found(LINE, [[0.0]], 6)
    np.testing.assert_array_equal(indices, [[0, 2, 3, 1, -1, -1]])
    np.testing.assert_array_equal(distances, [[0.0, 9.0, 16.0, 100.0, np.inf, np.inf]])
    indices, distances = found([[1.0, 2.0]], [[1.0, 2.0]], 1)
    assert indices.tolist() == [[0]] and distances.tolist() == [[0.0]]


@pytest.mark.parametrize("rows, batch", [(0, 2), (3, 0), (0, 0)])
def test_nothing_to_search_or_to_ask(rows, batch):
    indices, distances = found(np.ones((rows, 2), np.float32), np.ones((batch, 2), np.float32), 3)
    assert indices.shape == distances.shape == (batch, 3)
    assert np.all(indices == -1) and np.all(np.isinf(distances))


@pytest.mark.parametrize("copies", [5, 70, 5000])
def test_of_many_duplicates_each_comes_once_in_the_order_of_rows(copies):
    keys, queries = np.ones((copies, 2), np.float32), np.array([[1.0, 1.0]], np.float32)
    check(found(keys, queries, 4), keys, queries, 4)


def test_own_and_several_groups_are_hidden():
    groups = jnp.array([0, 1, 2, 2])
    not_from = jnp.array([[2, NO_GROUP], [2, 0], [NO_GROUP, NO_GROUP], [7, 1]])
    indices, _ = found(LINE, jnp.full((4, 1), 3.0), 4, key_groups=groups, not_from=not_from)
    np.testing.assert_array_equal(
        indices, [[0, 1, -1, -1], [1, -1, -1, -1], [2, 3, 0, 1], [2, 3, 0, -1]]
    )


def test_a_key_without_a_group_is_never_hidden():
    groups = jnp.full(4, NO_GROUP)
    indices, _ = found(LINE, [[0.0]], 4, key_groups=groups, not_from=jnp.array([[NO_GROUP]]))
    np.testing.assert_array_equal(indices, [[0, 2, 3, 1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_nobodys_neighbor_and_has_none(rng, bad):
    keys = rng.normal(size=(400, 3)).astype(np.float32)
    keys[3:300] = bad
    keys[300, 1] = bad
    found = nearest(keys, np.concatenate([keys[301:303], np.full((1, 3), bad)]), 4)
    assert np.all((found.indices[:2] < 3) | (found.indices[:2] > 300))
    np.testing.assert_array_equal(found.indices[:2, 0], [301, 302])
    assert np.all(found.indices[2] == -1) and np.all(np.isinf(found.distances[2]))


def test_hiding_everything_leaves_nothing():
    hidden = {"key_groups": jnp.zeros(4, jnp.int32), "not_from": jnp.zeros((1, 1), jnp.int32)}
    indices, distances = found(LINE, [[0.0]], 2, **hidden)
    assert np.all(indices == -1) and np.all(np.isinf(distances))


SIZES = [(rows, 3) for rows in (1, 15, 16, 17, 2047, 2048, 2049, 9000)]
SIZES += [(100, batch) for batch in (1, 511, 512, 513, 1025)]
# The blocks of so many rows and queries are walked over, those above are searched as one.
SIZES += [(8193, 512), (9000, 1025)]


@pytest.mark.parametrize("rows, batch", SIZES)
@pytest.mark.parametrize("grouped", [False, True])
def test_brute_force_at_the_block_borders(rng, rows, batch, grouped):
    keys = rng.normal(size=(rows, 4)).astype(np.float32)
    queries = rng.normal(size=(batch, 4)).astype(np.float32)
    groups = {}
    if grouped:
        groups["key_groups"] = rng.integers(0, 5, rows).astype(np.int32)
        groups["not_from"] = rng.integers(-1, 5, (batch, 2)).astype(np.int32)
    result = found(keys, queries, 7, **jax.tree.map(jnp.asarray, groups))
    check(result, keys, queries, 7, rtol=1e-4, **groups)


@pytest.mark.parametrize("offset", [1, 100, -1000])
def test_a_cloud_away_from_the_origin_is_still_ranked(rng, offset):
    """Rounding of the scores that choose the groups must not lose the nearest row."""
    keys = (offset + 0.1 * rng.normal(size=(2000, 4))).astype(np.float32)
    queries = (offset + 0.1 * rng.normal(size=(50, 4))).astype(np.float32)
    check(found(keys, queries, 3), keys, queries, 3, rtol=1e-3)


def test_keys_cut_once_answer_many(rng):
    keys = rng.normal(size=(500, 4)).astype(np.float32)
    groups = rng.integers(0, 5, 500).astype(np.int32)
    blocks = jax.jit(cut)(keys, groups)
    for not_from in (None, rng.integers(0, 5, (8, 1)).astype(np.int32)):
        hidden = {} if not_from is None else {"key_groups": groups, "not_from": not_from}
        result = nearest_in_blocks(blocks, keys[:8], 3, not_from=not_from)
        check(tuple(map(np.asarray, result)), keys, keys[:8], 3, rtol=1e-4, **hidden)


def test_blocks_cut_without_groups_cannot_hide_any(rng):
    keys = jnp.asarray(rng.normal(size=(20, 3)).astype(np.float32))
    not_from = jnp.zeros((2, 1), jnp.int32)
    for search in (partial(nearest_in_blocks, cut(keys)), ExactIndex.build(keys).search):
        with pytest.raises(ValueError, match="not_from needs keys with groups"):
            search(keys[:2], 3, not_from=not_from)


def test_group_numbers_beyond_32_bits_are_refused():
    groups, not_from = np.array([2**32 + 5, 5, 1, 2]), np.array([[5]])
    for hide in (
        lambda: nearest(LINE, LINE[:1], 1, key_groups=groups, not_from=not_from),
        lambda: ExactIndex.build(LINE, groups),
        lambda: ExactIndex.build(LINE, groups % 2**32).search(LINE[:1], 1, not_from=groups[None]),
    ):
        with pytest.raises(ValueError, match="numbers of 32 bits"):
            hide()


def test_jit_finds_the_same(rng):
    keys = rng.normal(size=(5000, 4)).astype(np.float32)
    queries = rng.normal(size=(600, 4)).astype(np.float32)
    groups = {
        "key_groups": rng.integers(0, 9, 5000).astype(np.int32),
        "not_from": rng.integers(0, 9, (600, 1)).astype(np.int32),
    }
    groups = jax.tree.map(jnp.asarray, groups)
    plain = found(keys, queries, 3, search=nearest, **groups)
    jitted = found(keys, queries, 3, **groups)
    np.testing.assert_array_equal(jitted[0], plain[0])
    np.testing.assert_allclose(jitted[1], plain[1], rtol=1e-5)


def test_permuted_keys_permute_the_answer(rng):
    keys = rng.normal(size=(4500, 4)).astype(np.float32)
    queries = rng.normal(size=(20, 4)).astype(np.float32)
    order = rng.permutation(4500)
    indices, distances = found(keys, queries, 5)
    permuted_indices, permuted_distances = found(keys[order], queries, 5)
    np.testing.assert_array_equal(order[permuted_indices], indices)
    np.testing.assert_array_equal(permuted_distances, distances)


@st.composite
def searches(draw):
    """Small integers, so that all arithmetic is exact and ties are many."""
    rows, batch, width = draw(st.sampled_from([1, 33, 70])), 3, 2
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    keys = rng.integers(-4, 5, (rows, width)).astype(np.float32)
    queries = rng.integers(-4, 5, (batch, width)).astype(np.float32)
    groups = {
        "key_groups": rng.integers(-1, 3, rows).astype(np.int32),
        "not_from": rng.integers(-1, 3, (batch, 2)).astype(np.int32),
    }
    return keys, queries, draw(st.sampled_from([1, 4, 80])), groups


@settings(max_examples=40, deadline=None, derandomize=True)
@given(searches())
def test_exact_on_integers(search):
    keys, queries, num_neighbors, groups = search
    result = found(keys, queries, num_neighbors, **jax.tree.map(jnp.asarray, groups))
    check(result, keys, queries, num_neighbors, **groups)


def test_gather_reads_rows_and_zeros():
    neighbors = Neighbors(jnp.array([[2, -1]]), jnp.array([[0.5, jnp.inf]]))
    np.testing.assert_array_equal(gather(LINE, neighbors), [[[3.0], [0.0]]])
    np.testing.assert_array_equal(gather(LINE[:0], neighbors), [[[0.0], [0.0]]])


@pytest.mark.parametrize(
    "keys, queries, num_neighbors, groups, message",
    [
        (LINE, LINE, 0, {}, "num_neighbors must be at least 1"),
        (LINE, jnp.ones((2, 2)), 1, {}, "width 1, queries 2"),
        (LINE, LINE, 1, {"key_groups": jnp.zeros(4, int)}, "go together"),
        (LINE, LINE, 1, {"not_from": jnp.zeros((4, 1), int)}, "go together"),
    ],
)
def test_questions_that_make_no_sense(keys, queries, num_neighbors, groups, message):
    with pytest.raises(ValueError, match=message):
        nearest(keys, queries, num_neighbors, **groups)


@pytest.mark.parametrize(
    "offset, every",
    [(1e4, 1), (3e4, 1), (1e6, 1), (-999_999.0, 100), (-999_999.0, 3)],
    ids=["far", "farther", "a column of a million", "a mark for what is missing", "many marks"],
)
def test_keys_far_from_the_origin_lose_no_neighbor(rng, offset, every):
    """A common offset, or a number that stands for nothing in some rows at equal distances."""
    keys = rng.normal(size=(3000, 8))
    columns = slice(None) if abs(offset) < 1e5 else slice(0, 1)
    keys[::every, columns] += offset
    keys = keys.astype(np.float32)
    asked = keys[-200:] if every == 1 else keys[np.arange(len(keys)) % every != 0][-200:]
    found = np.asarray(nearest(jnp.asarray(keys), jnp.asarray(asked), 10).indices)
    exact = np.sum(
        (asked[:, None].astype(np.float64) - keys[None].astype(np.float64)) ** 2, axis=-1
    )
    tenth = np.sort(exact, axis=1)[:, 9:10]
    near = np.take_along_axis(exact, found, axis=1) <= tenth * (1 + 1e-6)
    assert near.mean() == 1.0


def test_rows_of_numbers_are_gathered_like_rows_of_vectors():
    found = Neighbors(jnp.array([[2, -1], [0, 1]]), jnp.zeros((2, 2)))
    np.testing.assert_array_equal(gather(jnp.array([5.0, 6.0, 7.0]), found), [[7, 0], [5, 6]])
    boards = jnp.arange(12.0).reshape(3, 2, 2)
    assert gather(boards, found).shape == (2, 2, 2, 2)
    np.testing.assert_array_equal(gather(boards, found)[1, 1], boards[1])
    assert gather(jnp.zeros((0,)), found).shape == (2, 2)
