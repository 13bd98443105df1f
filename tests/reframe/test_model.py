"""The policy around the memory: an empty one is the backbone, and the order of rows is nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.reframe.backbone import last_step
from retrieve_rl.reframe.model import lookup
from retrieve_rl.reframe.policy import TrainedPolicy, count_parameters, new_policy
from retrieve_rl.reframe.windows import gather_window, window_rows
from retrieve_rl.retrieval.neighbors import Neighbors

KEY = jax.random.key(0)


def windows_of(table, context_len, count=64):
    table = jax.device_put(table)
    rows, mask = window_rows(
        table, jnp.linspace(0, table.num_steps - 1, count).astype(int), context_len
    )
    return gather_window(table, rows, mask)


@pytest.fixture(scope="module")
def trained(smoke):
    """The shipped smoke policy and windows of expert steps it has never seen."""
    config, _, data, policy = smoke
    return policy, windows_of(data.held_out, config.train.context_len)


@pytest.fixture
def make_untrained(tiny, make_table, make_memory):
    """An untrained policy with a memory of random latents, and windows to ask about."""

    def make(**retrieval):
        config = tiny(retrieval=retrieval)
        table = make_table([20, 15])
        keys = np.random.default_rng(5).normal(size=(35, 4)).astype(np.float32)
        graphdef, params = nnx.split(new_policy(config, 3, 2))
        policy = TrainedPolicy(config, graphdef, params, make_memory(table, keys))
        return policy, windows_of(make_table([30], seed=9), 4)

    return make


def permuted(policy):
    buffer = policy.memory.buffer
    order = np.random.default_rng(0).permutation(buffer.num_rows)
    rows = {
        name: np.asarray(getattr(buffer, name))[order]
        for name in ("keys", "actions", "trajectories", "timesteps")
    }
    memory = dataclasses.replace(policy.memory, buffer=buffer._replace(**rows))
    return dataclasses.replace(policy, memory=memory)


def backbone_alone(policy, windows):
    @jax.jit
    def alone(params, window):
        return last_step(nnx.merge(policy.graphdef, params).backbone, window).actions

    return np.asarray(alone(policy.params, windows))


def test_an_empty_memory_is_the_backbone_bit_for_bit(trained):
    policy, windows = trained
    buffer = policy.memory.buffer
    rows = ("keys", "actions", "trajectories", "timesteps")
    emptied = buffer._replace(**{name: getattr(buffer, name)[:0] for name in rows})
    policy = dataclasses.replace(policy, memory=dataclasses.replace(policy.memory, buffer=emptied))
    output = policy.answer(windows, KEY)
    np.testing.assert_array_equal(output.backbone_actions, output.actions)
    np.testing.assert_allclose(
        output.actions, backbone_alone(policy, windows), rtol=1e-4, atol=1e-5
    )
    assert not np.any(output.gate) and not np.any(output.closeness)


def test_with_its_memory_the_same_policy_says_something_else(trained):
    policy, windows = trained
    output = policy.answer(windows, KEY)
    assert np.mean(np.abs(output.actions - output.backbone_actions)) > 1e-3
    np.testing.assert_allclose(
        output.backbone_actions, backbone_alone(policy, windows), rtol=1e-4, atol=1e-5
    )
    assert np.all(output.closeness > 0) and np.all(output.closeness <= 1)


def test_the_order_of_the_memory_changes_nothing(trained):
    policy, windows = trained
    for first, second in zip(
        policy.answer(windows, KEY), permuted(policy).answer(windows, KEY), strict=True
    ):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_the_order_of_the_memory_changes_nothing_for_a_learned_query(make_untrained):
    policy, windows = make_untrained(query="learned")
    for first, second in zip(
        policy.answer(windows, KEY), permuted(policy).answer(windows, KEY), strict=True
    ):
        np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("correction", ["add", "gate"])
def test_where_no_neighbor_is_found_the_backbone_stands(make_untrained, correction):
    policy, windows = make_untrained(query="observation", correction=correction)
    module = nnx.merge(policy.graphdef, policy.params)
    steps = jax.jit(lambda windows: module.read(windows, DropoutStream(None)))(windows)
    shape = (*steps.actions.shape[:2], 3)
    mixed = jnp.broadcast_to((jnp.arange(shape[0]) % 2 == 0)[:, None, None], shape)
    neighbors = Neighbors(jnp.where(mixed, 5, -1), jnp.where(mixed, 0.5, jnp.inf))
    corrected = jax.jit(module.correct, static_argnums=0)(
        policy.config.retrieval, steps, jax.device_put(policy.memory.buffer), neighbors
    )
    np.testing.assert_array_equal(corrected.actions[1::2], steps.actions[1::2])
    assert not np.any(corrected.gate[1::2]) and not np.any(corrected.closeness[1::2])
    assert np.all(np.any(corrected.actions[::2] != steps.actions[::2], axis=-1))
    assert np.isfinite(corrected.actions).all()


def test_random_neighbors_depend_on_the_key(make_untrained):
    policy, windows = make_untrained(query="learned", source="random")
    first, same, other = (policy.answer(windows, jax.random.key(n)).actions for n in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)


def test_an_arm_without_a_memory_has_the_backbone_alone(tiny, make_table):
    config = tiny(retrieval={"source": "none"})
    graphdef, params = nnx.split(new_policy(config, 3, 2))
    policy = TrainedPolicy(config, graphdef, params, None)
    windows = windows_of(make_table([30], seed=9), 4)
    np.testing.assert_array_equal(
        policy.answer(windows, KEY).actions, backbone_alone(policy, windows)
    )
    with_memory = nnx.split(new_policy(tiny(), 3, 2))[1]
    assert count_parameters(params) < count_parameters(with_memory)


def test_the_seed_draws_the_parameters(tiny):
    first, same, other = (
        jax.tree.leaves(nnx.split(new_policy(tiny(seed=seed), 3, 2))[1]) for seed in (0, 0, 1)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert np.mean([np.array_equal(a, b) for a, b in zip(first, other, strict=True)]) < 0.7


def test_the_backbone_starts_the_same_with_and_without_a_memory(tiny):
    with_memory, without = (
        nnx.split(new_policy(config, 3, 2).backbone)[1]
        for config in (tiny(), tiny(retrieval={"source": "none"}))
    )
    for first, second in zip(jax.tree.leaves(with_memory), jax.tree.leaves(without), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.fixture
def answers(make_untrained):
    """Two neighbors at squared distances 0 and 2, then one alone, then none."""
    policy, _ = make_untrained(query="observation")
    buffer = jax.device_put(policy.memory.buffer)
    neighbors = Neighbors(
        jnp.array([[3, 7], [7, -1], [-1, -1]]),
        jnp.array([[0.0, 2.0], [2.0, jnp.inf], [jnp.inf, jnp.inf]]),
    )

    def look(**retrieval):
        config = policy.config.retrieval.model_copy(update=retrieval)
        return lookup(config, buffer, neighbors, jnp.zeros((3, 3)))

    return look, np.asarray(buffer.actions)


def test_a_soft_lookup_weights_by_distance(answers):
    look, actions = answers
    found = look(lookup="soft")
    near = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(
        found.actions[0], near * actions[3] + (1 - near) * actions[7], rtol=1e-5
    )
    np.testing.assert_allclose(found.actions[1], actions[7], rtol=1e-5)
    np.testing.assert_allclose(found.closeness, [1.0, np.exp(-1), 0.0], rtol=1e-5)
    np.testing.assert_array_equal(found.present, [True, True, False])


def test_a_nearest_lookup_takes_the_first(answers):
    look, actions = answers
    found = look(lookup="nearest")
    np.testing.assert_allclose(found.actions[:2], actions[[3, 7]], rtol=1e-6)
    np.testing.assert_array_equal(found.present, [True, True, False])
