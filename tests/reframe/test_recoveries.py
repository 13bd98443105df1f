"""Recoveries: regulation against SciPy, deviations by hand, whose copy a step is."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.config import DynamicsConfig, resolve
from retrieve_rl.reframe.data import load_training_data
from retrieve_rl.reframe.dynamics import one_step_error, train_dynamics, transitions
from retrieve_rl.reframe.recoveries import Recoveries, deviations, imagine, make_or_open
from retrieve_rl.reframe.regulation import Linear, linearize, regulate
from retrieve_rl.reframe.train import counts_of, make_inputs, train_policy
from retrieve_rl.reframe.windows import Counts, StepTable, concatenate
from retrieve_rl.results import Run
from retrieve_rl.signals import StopRequest

A = np.array([[1.0, 0.1], [0.3, 1.0]])
B = np.array([[0.0], [0.2]])


class Pendulum(NamedTuple):
    """Two numbers that fall apart unless one action holds them."""

    def change(self, observations, actions):
        return observations @ (A - np.eye(2)).T + actions @ B.T


def upright(num_steps, episodes=1):
    """Episodes in which nothing moves."""
    rows = num_steps * episodes
    return StepTable(
        observations=np.zeros((rows, 2), np.float32),
        actions=np.zeros((rows, 1), np.float32),
        returns_to_go=np.zeros(rows, np.float32),
        timesteps=np.tile(np.arange(num_steps, dtype=np.int32), episodes),
        trajectories=np.repeat(np.arange(episodes, dtype=np.int32), num_steps),
    )


def test_far_from_the_end_regulation_is_the_one_without_an_end():
    steps, control_cost = 300, 0.1
    linear = Linear(*(jnp.tile(matrix, (steps, 1, 1)) for matrix in (A, B)))
    found = regulate(linear, jnp.zeros(steps, int), control_cost, 1.0)
    cost = scipy.linalg.solve_discrete_are(A, B, np.eye(2) / 2, control_cost * np.eye(1))
    gain = -np.linalg.solve(control_cost + B.T @ cost @ B, B.T @ cost @ A)
    np.testing.assert_allclose(found[0], gain, rtol=1e-3)


def test_nothing_is_known_beyond_the_end_of_an_episode():
    linear = Linear(*(jnp.tile(matrix, (6, 1, 1)) for matrix in (A, B)))
    found = regulate(linear, jnp.array([0, 0, 0, 1, 1, 1]), 0.1, 1.0)
    assert not found[2].any() and not found[5].any()
    np.testing.assert_allclose(found[:3], found[3:], rtol=1e-6)
    # One step before the end: min over e of |A d + B e|^2 / 2 + |e|^2 / 10.
    gain = -np.linalg.solve(0.1 + B.T @ B / 2, B.T @ A / 2)
    np.testing.assert_allclose(found[1], gain, rtol=1e-5)


def test_derivatives_are_those_of_the_model_in_the_experts_units():
    center, spread = np.array([1.0, -1.0]), np.array([2.0, 0.5])
    linear = linearize(Pendulum(), jnp.ones((3, 2)), jnp.ones((3, 1)), center, spread)
    np.testing.assert_allclose(linear.a[1], A * spread / spread[:, None], rtol=1e-5)
    np.testing.assert_allclose(linear.b[1], B / spread[:, None], rtol=1e-5)


def test_deviations_by_hand():
    """The first step of an episode is on the path; then d' = (A + B K) d + B noise."""
    linear = Linear(*(jnp.tile(matrix, (4, 1, 1)) for matrix in (A, B)))
    gains = jnp.tile(jnp.array([[[-1.0, 0.0]]]), (4, 1, 1))
    noise = jnp.array([[[1.0]], [[0.5]], [[1.0]], [[9.0]]])
    last = jnp.array([False, False, True, True])
    found = np.asarray(deviations(linear, gains, last, noise))[:, 0]
    closed = A + B @ np.array([[-1.0, 0.0]])
    second = B[:, 0]
    third = closed @ second + 0.5 * B[:, 0]
    np.testing.assert_allclose(found, [[0, 0], second, third, [0, 0]], atol=1e-6)


def test_answered_deviations_stay_small_and_unanswered_ones_grow():
    steps = 200
    linear = Linear(*(jnp.tile(matrix, (steps, 1, 1)) for matrix in (A, B)))
    gains = regulate(linear, jnp.zeros(steps, int), 0.1, 0.99)
    noise = 0.1 * jax.random.normal(jax.random.key(0), (steps, 8, 1))
    last = jnp.arange(steps) == steps - 1
    answered = np.asarray(deviations(linear, gains, last, noise))
    left_alone = np.asarray(deviations(linear, 0.0 * gains, last, noise))
    assert 0.01 < np.std(answered[10:]) < 0.2 < 1.0 < np.std(left_alone[50:])


@pytest.fixture
def config():
    settings = ("recovery.disturbance=0.1",)
    return resolve("hopper-medium", preset="smoke", settings=settings)


def test_recoveries_are_the_experts_episodes_off_their_path(config):
    experts = moving(60, 0)
    key = jax.random.key(1)
    found = imagine(config, Pendulum(), experts, 3, key)
    assert found.num_steps == 180
    np.testing.assert_array_equal(found.trajectories, np.repeat([0, 1, 2], 60))
    np.testing.assert_array_equal(found.timesteps, np.tile(experts.timesteps, 3))
    away = found.observations.reshape(3, 60, 2) - experts.observations
    assert not away[:, 0].any() and np.all(np.abs(away[:, 1:]).max(axis=(1, 2)) > 1e-3)
    assert np.abs(found.actions).max() <= 1.0
    assert np.any(away[0] != away[1])
    calm = config.recovery.model_copy(update={"disturbance": 0.0})
    still = imagine(config.model_copy(update={"recovery": calm}), Pendulum(), experts, 1, key)
    np.testing.assert_allclose(still.observations, experts.observations, atol=1e-6)
    np.testing.assert_allclose(still.actions, experts.actions, atol=1e-6)


def test_a_copy_is_of_its_experts_episode(config):
    experts = upright(10, episodes=2)
    steps = imagine(config, Pendulum(), experts, 3, jax.random.key(0))
    np.testing.assert_array_equal(steps.trajectories, np.repeat(np.arange(6), 10))
    origins = Recoveries(steps, 3, {}).of_experts(experts)
    np.testing.assert_array_equal(origins, np.tile(np.repeat([0, 1], 10), 3))


def moving(num_steps, seed):
    """One episode of the pendulum under random actions, shrunk so that it does not fall."""
    rng, table = np.random.default_rng(seed), upright(num_steps)
    state = np.zeros(2)
    for step in range(num_steps):
        action = rng.uniform(-1, 1, 1)
        table.observations[step], table.actions[step] = state, action
        state = 0.8 * (A @ state + B @ action)
    return table


def test_a_model_learns_what_an_action_changes(tmp_path):
    table, run = moving(400, 0), Run(tmp_path, tmp_path, Reporter(-1), StopRequest())
    config = DynamicsConfig(members=2, width=16, steps=300, batch_size=64, learning_rate=1e-2)
    model = train_dynamics(config, table, table, 0, run)
    assert one_step_error(model, moving(100, 1)) < 0.05
    untrained = train_dynamics(config.model_copy(update={"steps": 1}), table, table, 0, run)
    assert one_step_error(untrained, moving(100, 1)) > 0.3
    members = [leaf.shape[0] for leaf in jax.tree.leaves(model.params)]
    assert set(members) == {2}


def test_no_transition_leaves_its_episode():
    table = upright(4, episodes=2)
    table.observations[:, 0] = np.arange(8)
    known = transitions(table)
    np.testing.assert_array_equal(known.observations[:, 0], [0, 1, 2, 4, 5, 6])
    np.testing.assert_array_equal(known.changes[:, 0], np.ones(6))


@pytest.mark.slow
def test_a_run_learns_from_recoveries_and_tells_which(short_data, tmp_path):
    settings = ("backbone=mlp", "train.steps=2", "memory.steps=2", "dynamics.steps=2")
    small = ("dynamics.width=8", "evaluate.episodes=2", "data.num_experts=2")
    settings = (*settings, *small, "recovery.share=0.5", "recovery.episodes=3")
    config = resolve("hopper-medium", preset="smoke", settings=settings)
    run = Run(tmp_path / "run", tmp_path, Reporter(-1), StopRequest())
    run.folder.mkdir()
    result = train_policy(config, run)
    data = load_training_data(config, run.reporter)
    opened = make_or_open(config, data, run)
    assert result.training["recoveries"] == opened.facts
    assert opened.copies == 2 and opened.steps.num_steps == 2 * data.experts.num_steps
    assert result.outcomes[0]["return_raw"] > 0


def test_neighbors_of_a_recovery_are_of_other_episodes(
    tiny, make_data, make_memory, make_shared_run
):
    config, data = tiny(retrieval={"query": "observation"}), make_data()
    memory, copies = make_memory(data.experts), 2
    steps = concatenate([data.experts] * copies)
    recoveries = Recoveries(steps, copies, {})
    inputs = make_inputs(config, data, memory, make_shared_run(), recoveries)
    count = data.experts.num_steps
    assert inputs.table.num_steps == data.data.num_steps + 3 * count
    assert counts_of(data, recoveries) == Counts(data.data.num_steps, count, copies * count)
    found = np.asarray(inputs.neighbors.indices)
    np.testing.assert_array_equal(found[count : 2 * count], found[:count])
    own = (
        memory.buffer.trajectories[np.maximum(found, 0)]
        == np.tile(data.experts.trajectories, 1 + copies)[:, None]
    )
    assert not np.any(own & (found >= 0))
