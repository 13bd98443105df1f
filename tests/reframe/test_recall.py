"""What a step may not see of the memory, and what the memory answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import recall
from retrieve_rl.reframe.config import resolve
from retrieve_rl.reframe.model import lookup
from retrieve_rl.reframe.recall import (
    HiddenGroups,
    hide_own_trajectory,
    recall_table,
    search,
    state_queries,
)
from retrieve_rl.retrieval.neighbors import NO_GROUP

SEARCH = jax.jit(search, static_argnames="config")


@pytest.fixture
def make_buffer(make_table, make_memory):
    """A memory of raw observations with episodes of these lengths."""

    def make(lengths):
        table = make_table(lengths)
        return table, make_memory(table).buffer

    return make


def retrieval(tiny, **options):
    return tiny(retrieval={"query": "observation", "num_neighbors": 4, **options}).retrieval


def test_an_expert_step_is_hidden_its_own_episode(make_buffer):
    table, buffer = make_buffer([3, 4])
    hidden = hide_own_trajectory(
        buffer, np.array([-1, 0, 1], np.int32), np.array([5, 0, 0], np.int32), 2
    )
    np.testing.assert_array_equal(hidden.key_groups, buffer.trajectories)
    np.testing.assert_array_equal(hidden.not_from, [[NO_GROUP], [0], [1]])


def test_of_one_episode_a_stretch_around_the_step_is_hidden(make_buffer):
    _, buffer = make_buffer([100])
    hidden = hide_own_trajectory(
        buffer, np.array([0, 0, 0, -1], np.int32), np.array([0, 49, 99, 50], np.int32), 10
    )
    np.testing.assert_array_equal(hidden.key_groups, np.arange(100) // 10)
    shown = [set(range(10)) - set(row) for row in hidden.not_from.tolist()]
    assert shown[0] == set(range(2, 10))
    assert shown[1] == {0, 1, 2, 6, 7, 8, 9}
    assert shown[2] == set(range(8))
    assert shown[3] == set(range(10))


@pytest.mark.parametrize("source", ["neighbors", "random"])
def test_a_hidden_group_is_never_answered(tiny, make_buffer, source):
    table, buffer = make_buffer([20, 30, 25])
    config = retrieval(tiny, source=source)
    hidden = HiddenGroups(buffer.trajectories, buffer.trajectories[:, None])
    found = SEARCH(config, buffer, table.observations, hidden, jax.random.key(0))
    indices = np.asarray(found.indices)
    present = indices >= 0
    own = buffer.trajectories[indices] == buffer.trajectories[:, None]
    assert not np.any(own & present) and np.mean(present) > 0.5
    assert np.all(np.isinf(found.distances) == ~present)
    shown = HiddenGroups(buffer.trajectories, np.full((75, 1), NO_GROUP, np.int32))
    indices = np.asarray(SEARCH(config, buffer, table.observations, shown, jax.random.key(0))[0])
    assert np.all(indices >= 0)
    assert np.any(buffer.trajectories[indices] == buffer.trajectories[:, None])


def test_the_nearest_are_found_and_random_ones_carry_true_distances(tiny, make_buffer):
    table, buffer = make_buffer([50])
    nearest = SEARCH(retrieval(tiny), buffer, table.observations, None, jax.random.key(0))
    np.testing.assert_array_equal(nearest.indices[:, 0], np.arange(50))
    config = retrieval(tiny, source="random")
    drawn = SEARCH(config, buffer, table.observations, None, jax.random.key(0))
    difference = buffer.keys[np.asarray(drawn.indices)] - table.observations[:, None]
    np.testing.assert_allclose(drawn.distances, np.sum(difference**2, -1), rtol=1e-4, atol=1e-6)
    other = SEARCH(config, buffer, table.observations, None, jax.random.key(1))
    assert np.mean(np.asarray(other.indices) == np.asarray(drawn.indices)) < 0.1
    counts = np.bincount(np.asarray(drawn.indices).ravel(), minlength=50)
    assert counts.max() < 5 * 4


def test_a_query_is_the_observation_or_the_encoder(tiny):
    class Encoder:
        def encode_state(self, returns_to_go, observations):
            return returns_to_go[:, None] + observations

    returns_to_go, observations = jnp.arange(2.0), jnp.ones((2, 3))
    asked = state_queries(retrieval(tiny), Encoder(), returns_to_go, observations)
    np.testing.assert_array_equal(asked, observations)
    asked = state_queries(retrieval(tiny, query="encoder"), Encoder(), returns_to_go, observations)
    np.testing.assert_array_equal(asked, [[1.0] * 3, [2.0] * 3])


@pytest.mark.parametrize("rows", [[2], [5, 3], [7, 9], [30]])
def test_the_table_of_neighbors_is_a_search_per_row(tiny, make_buffer, monkeypatch, rows):
    """Rows come out in their order, whatever the number of queries at once."""
    monkeypatch.setattr(recall, "_QUERIES_AT_ONCE", 8)
    jax.clear_caches()
    table, buffer = make_buffer(rows)
    hidden = hide_own_trajectory(buffer, table.trajectories, table.timesteps, 3)
    config = retrieval(tiny)
    found = recall_table(config, buffer, None, table, hidden, Reporter(verbosity=-1))
    expected = SEARCH(config, buffer, table.observations, hidden, jax.random.key(0))
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-5)
    jax.clear_caches()


def test_random_neighbors_are_uniform_among_those_that_may_be_seen(tiny, make_buffer):
    _, buffer = make_buffer([20, 20])
    hidden = HiddenGroups(buffer.trajectories, np.zeros((40, 1), np.int32))
    config = retrieval(tiny, source="random", num_neighbors=50)
    found = SEARCH(config, buffer, buffer.keys, hidden, jax.random.key(1))
    counts = np.bincount(np.asarray(found.indices).ravel(), minlength=40)
    assert np.all(counts[:20] == 0)
    # Each of 20 rows is drawn 100 times on average, with a standard deviation below 10.
    assert np.all(np.abs(counts[20:] - 100) < 50)
    assert np.all(np.isfinite(found.distances))


def test_where_all_is_hidden_a_random_neighbor_is_missing(tiny, make_buffer):
    _, buffer = make_buffer([20])
    hidden = HiddenGroups(buffer.trajectories, np.zeros((20, 1), np.int32))
    found = SEARCH(retrieval(tiny, source="random"), buffer, buffer.keys, hidden, jax.random.key(1))
    assert np.all(np.asarray(found.indices) == -1) and np.all(np.isinf(found.distances))


def test_the_random_arm_tells_nothing_of_the_right_action(make_buffer):
    """The nearest of ten random steps would: a softmax over them answers by it."""
    table, buffer = make_buffer([500, 500])
    buffer = buffer._replace(actions=table.observations[:, :2], distance_scale=jnp.float32(0.05))

    def correlation(config):
        found = SEARCH(config, buffer, table.observations, None, jax.random.key(2))
        recalled = lookup(config, buffer, found, table.observations)
        return np.corrcoef(recalled.actions[:, 0], table.observations[:, 0])[0, 1]

    arm = resolve("hopper-medium", arm="reframe-random").retrieval
    arm = arm.model_copy(update={"query": "observation"})
    assert abs(correlation(arm)) < 0.1
    assert correlation(arm.model_copy(update={"num_neighbors": 10})) > 0.3
