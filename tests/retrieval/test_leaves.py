"""Leaves: near keys together, no leaf forgotten, and few comparisons where there are many."""

import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.retrieval.leaves import (
    LeafGroups,
    grouped,
    groups_of,
    leaves_of,
    make_leaves,
    padded,
)


@pytest.fixture(scope="module")
def keys():
    scale = np.arange(1, 17) ** -0.5
    return (np.random.default_rng(3).normal(size=(6000, 16)) * scale).astype(np.float32)


def leaf_of_each(leaves, keys):
    return np.asarray(leaves_of(leaves, padded(jnp.asarray(keys))))[: len(keys)]


def squared_distances(keys, centers):
    return ((keys[:, None].astype(np.float64) - np.asarray(centers)) ** 2).sum(axis=-1)


def test_no_leaf_holds_keys_of_two_clusters():
    rng = np.random.default_rng(0)
    middles = 100.0 * rng.normal(size=(30, 5))
    members = np.repeat(np.arange(30), 40)
    keys = (middles[members] + rng.normal(size=(1200, 5))).astype(np.float32)
    leaves = leaf_of_each(make_leaves(keys[rng.permutation(1200)], 60), keys)
    assert len({(leaf, cluster) for leaf, cluster in zip(leaves, members, strict=True)}) == len(
        set(leaves)
    )


def test_leaves_are_as_tight_as_those_of_one_level(keys):
    from scipy.cluster.vq import kmeans2

    centers = make_leaves(keys, 100).centers
    assert centers.shape == (100, 16)
    one_level, _ = kmeans2(keys, 100, iter=12, minit="++", rng=np.random.default_rng(1))
    ours, theirs = (squared_distances(keys, c).min(axis=1).mean() for c in (centers, one_level))
    assert ours < 1.01 * theirs


def test_the_same_keys_give_the_same_leaves(keys):
    one, other = (make_leaves(keys, 60) for _ in range(2))
    np.testing.assert_array_equal(one.centers, other.centers)


@pytest.mark.parametrize("distinct", [1, 3, 15])
def test_of_few_distinct_keys_each_finds_its_own(distinct):
    values = np.random.default_rng(0).normal(size=(distinct, 4)).astype(np.float32)
    keys = np.tile(values, (1500 // distinct, 1))
    leaves = make_leaves(keys, 55)
    assert len(leaves.centers) <= 55 and np.all(np.isfinite(leaves.centers))
    chosen = np.asarray(leaves.centers)[leaf_of_each(leaves, keys)]
    np.testing.assert_allclose(chosen, keys, atol=1e-5)


def test_of_many_leaves_most_keys_get_the_nearest_and_none_a_far_one(keys, monkeypatch):
    monkeypatch.setattr("retrieve_rl.retrieval.leaves.LISTED_LEAVES", 256)
    centers, sample, rest = keys[:2000], keys[2000:4000], keys[4000:]
    nearest = squared_distances(sample, centers).argmin(axis=1)
    leaves = leaf_of_each(grouped(centers, groups_of(sample, centers), nearest), rest)
    distances = squared_distances(rest, centers)
    assert np.mean(leaves == distances.argmin(axis=1)) > 0.95
    chosen = distances[np.arange(len(rest)), leaves]
    assert chosen.mean() < 1.01 * distances.min(axis=1).mean()


def test_many_leaves_are_as_tight_as_if_each_key_were_compared_with_all(keys, monkeypatch):
    for name, value in (("COMPARED_LEAVES", 100), ("NUM_GROUPS", 16), ("LISTED_LEAVES", 64)):
        monkeypatch.setattr(f"retrieve_rl.retrieval.leaves.{name}", value)
    leaves = make_leaves(keys, 300)
    assert isinstance(leaves.search, LeafGroups) and leaves.centers.shape == (300, 16)
    found = leaf_of_each(leaves, keys)
    distances = squared_distances(keys, leaves.centers)
    assert np.mean(found == distances.argmin(axis=1)) > 0.95
    chosen = distances[np.arange(len(keys)), found]
    monkeypatch.setattr("retrieve_rl.retrieval.leaves.COMPARED_LEAVES", 300)
    compared = squared_distances(keys, make_leaves(keys, 300).centers)
    assert chosen.mean() < 1.02 * compared.min(axis=1).mean()


def test_a_leaf_that_keys_of_a_group_fall_into_is_compared_with_them_wherever_it_lies():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(6400, 8)).astype(np.float32)
    groups = groups_of(centers[:1], centers)
    farthest = int(np.argmax(squared_distances(groups.centers[groups.of_keys], centers)))
    leaves = grouped(centers, groups, np.array([farthest]))
    assert farthest in np.asarray(leaves.search.leaves)[groups.of_keys[0]]


def test_where_a_sample_fell_tells_which_leaves_to_compare_with(monkeypatch):
    monkeypatch.setattr("retrieve_rl.retrieval.leaves.NUM_GROUPS", 32)
    monkeypatch.setattr("retrieve_rl.retrieval.leaves.LISTED_LEAVES", 64)
    rng = np.random.default_rng(0)
    scale = np.arange(1, 33) ** -0.5
    middles = rng.normal(size=(300, 32)) * scale
    keys = middles[rng.integers(0, 300, 8512)] + 0.5 * scale * rng.normal(size=(8512, 32))
    centers, sample, rest = np.split(keys.astype(np.float32), [512, 4512])
    groups = groups_of(sample, centers)
    labels = squared_distances(sample, centers).argmin(axis=1)
    nearest = squared_distances(rest, centers).argmin(axis=1)
    nothing = groups._replace(of_keys=groups.of_keys[:0])
    by_sample, by_distance = (
        np.mean(leaf_of_each(grouped(centers, *known), rest) != nearest)
        for known in ((groups, labels), (nothing, labels[:0]))
    )
    assert by_sample < 0.7 * by_distance
