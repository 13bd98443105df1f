"""Leaves: near keys together, no leaf forgotten, and few comparisons where there are many."""

import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.retrieval.leaves import grouped, leaves_of, make_leaves, padded


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


def test_of_many_leaves_most_keys_get_the_nearest_and_none_a_far_one(keys):
    centers, rest = keys[:3000], keys[3000:]
    leaves = leaf_of_each(grouped(centers), rest)
    distances = squared_distances(rest, centers)
    assert np.mean(leaves == distances.argmin(axis=1)) > 0.95
    chosen = distances[np.arange(len(rest)), leaves]
    assert chosen.mean() < 1.01 * distances.min(axis=1).mean()
