"""Shards on a Ray cluster of two local nodes: what dies comes back, what stays away is an error."""

import numpy as np
import pytest

from retrieve_rl.errors import DataError, ResourceError
from retrieve_rl.retrieval.ray_shards import RayShardedIndex

pytestmark = [
    pytest.mark.ray,
    # Ray forks to start its processes and replaces them at once.
    pytest.mark.filterwarnings(r"ignore:os.fork\(\) was called:RuntimeWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def built(make_memory_at, rng, tmp_path):
    """A memory of several shards: (its path, the memory, queries)."""
    keys = rng.normal(size=(3000, 8)).astype(np.float32)
    memory = make_memory_at("m", keys, kind="scann", shard_rows=500)
    assert len(memory.index.shards) == 6
    return tmp_path / "m", memory, rng.normal(size=(40, 8)).astype(np.float32)


def assert_same(found, expected):
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-6)


def test_the_answer_is_that_of_one_process_and_survives_a_killed_actor(cluster, built):
    import ray

    path, memory, queries = built
    expected = memory.index.search(queries, 7)
    with RayShardedIndex(path) as index:
        assert (index.num_keys, index.dim) == (3000, 8)
        assert_same(index.search(queries, 7), expected)
        for actor in index.actors[:3]:
            ray.kill(actor, no_restart=False)
        assert_same(index.search(queries, 7), expected)


def test_the_answer_survives_a_killed_node(cluster, built):
    path, memory, queries = built
    expected = memory.index.search(queries, 7)
    node = cluster.add_node(num_cpus=1)
    with RayShardedIndex(path) as index:
        assert_same(index.search(queries, 7), expected)
        cluster.remove_node(node, allow_graceful=False)
        assert_same(index.search(queries, 7), expected)


def test_a_memory_that_was_replaced_gives_no_mixed_answer(cluster, built, make_memory_at, rng):
    import ray

    path, _, queries = built
    with RayShardedIndex(path, timeout_seconds=30) as index:
        path.rename(path.with_name("elsewhere"))
        make_memory_at("m", rng.normal(size=(3000, 8)), kind="scann", shard_rows=500)
        ray.kill(index.actors[0], no_restart=False)
        with pytest.raises(ResourceError, match="gave no answer|is gone"):
            index.search(queries, 7)


def test_questions_are_those_of_every_index(cluster, built):
    path, memory, queries = built
    with RayShardedIndex(path) as index:
        assert index.search(queries[:0], 3).indices.shape == (0, 3)
        assert_same(index.search(queries[:2], 3001), memory.index.search(queries[:2], 3001))
        for bad, error in ((queries[0], ValueError), (queries[:, :3], ValueError)):
            with pytest.raises(error):
                index.search(bad, 3)
        with pytest.raises(DataError, match="not finite"):
            index.search(np.full((1, 8), np.nan), 3)


def test_a_shard_that_stays_away_is_an_error(cluster, built):
    import ray

    path, _, queries = built
    with RayShardedIndex(path, timeout_seconds=30) as index:
        path.rename(path.with_name("elsewhere"))
        ray.kill(index.actors[0], no_restart=False)
        with pytest.raises(ResourceError, match="gave no answer|is gone"):
            index.search(queries, 7)
