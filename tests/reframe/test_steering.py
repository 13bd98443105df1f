"""Steering: costs as products, regulation against SciPy, a path that is come back to."""

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
from retrieve_rl.reframe.steering import Tracking, cost_features, cost_keys, steer
from retrieve_rl.reframe.tracking import Linear, linearize, make_or_open, regulate, track
from retrieve_rl.reframe.train import train_policy
from retrieve_rl.reframe.windows import StepTable
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


def test_costs_are_products_of_keys_and_features():
    rng = np.random.default_rng(0)
    z, q, root = (rng.normal(size=shape) for shape in ((5, 3), (4, 3), (5, 3, 3)))
    costs = root @ np.swapaxes(root, 1, 2)
    difference = q[:, None] - z
    expected = np.einsum("qno,nop,qnp->qn", difference, costs, difference)
    told = cost_features(jnp.asarray(q)) @ cost_keys(jnp.asarray(z), jnp.asarray(costs)).T
    np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-4)


def test_far_from_the_end_regulation_is_the_one_without_an_end():
    steps, control_cost = 300, 0.1
    linear = Linear(*(jnp.tile(matrix, (steps, 1, 1)) for matrix in (A, B)))
    found = regulate(linear, jnp.zeros(steps, int), control_cost, 1.0)
    cost = scipy.linalg.solve_discrete_are(A, B, np.eye(2) / 2, control_cost * np.eye(1))
    gain = -np.linalg.solve(control_cost + B.T @ cost @ B, B.T @ cost @ A)
    np.testing.assert_allclose(found.costs[0], cost, rtol=1e-3)
    np.testing.assert_allclose(found.gains[0], gain, rtol=1e-3)


def test_nothing_is_known_beyond_the_end_of_an_episode():
    linear = Linear(*(jnp.tile(matrix, (6, 1, 1)) for matrix in (A, B)))
    found = regulate(linear, jnp.array([0, 0, 0, 1, 1, 1]), 0.1, 1.0)
    assert not found.gains[2].any() and not found.gains[5].any()
    np.testing.assert_allclose(found.costs[2], np.eye(2) / 2)
    np.testing.assert_allclose(found.gains[:3], found.gains[3:], rtol=1e-6)
    # One step before the end: min over e of |A d + B e|^2 / 2 + |e|^2 / 10.
    gain = -np.linalg.solve(0.1 + B.T @ B / 2, B.T @ A / 2)
    np.testing.assert_allclose(found.gains[1], gain, rtol=1e-5)


def test_derivatives_are_those_of_the_model_in_the_experts_units():
    center, spread = np.array([1.0, -1.0]), np.array([2.0, 0.5])
    linear = linearize(Pendulum(), jnp.ones((3, 2)), jnp.ones((3, 1)), center, spread)
    np.testing.assert_allclose(linear.a[1], A * spread / spread[:, None], rtol=1e-5)
    np.testing.assert_allclose(linear.b[1], B / spread[:, None], rtol=1e-5)


@pytest.mark.parametrize("weight, holds", [(0.0, False), (1.0, True)])
def test_a_deviation_is_brought_back(weight, holds):
    tracking = track(Pendulum(), upright(50), 0.1, 0.99)
    state = np.array([[0.05, 0.02]], np.float32)
    for _ in range(200):
        idle = jnp.zeros((1, 1))
        action = steer(tracking, state, idle, weight=weight, gain_scale=1.0).actions
        state = state @ A.T + np.asarray(action) @ B.T
    assert (np.abs(state).max() < 1e-3) == holds


def test_the_step_that_is_cheapest_to_come_back_to_is_followed():
    z = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    cheap, dear = np.diag([0.1, 0.1]), np.diag([10.0, 0.1])
    gains = jnp.array([[[1.0, 0.0]], [[2.0, 0.0]]])
    tracking = Tracking(
        center=jnp.zeros(2),
        spread=jnp.full(2, 2.0),
        observations=z,
        actions=jnp.array([[0.5], [-0.5]]),
        gains=gains,
        cost_keys=cost_keys(z, jnp.asarray(np.stack([cheap, dear]))),
    )
    told = steer(
        tracking,
        jnp.array([[1.6, 0.0], [2.0, 0.0], [-0.4, 0.0]]),
        jnp.array([[0.0], [0.2], [0.4]]),
        weight=0.5,
        gain_scale=0.5,
    )
    # z = 0.8 is nearer to the second step; 0.064 is less than 0.4.
    np.testing.assert_array_equal(told.rows, [0, 1, 0])
    np.testing.assert_allclose(told.actions, [[0.45], [-0.15], [0.4]], atol=1e-6)


def test_the_end_of_an_episode_is_not_followed():
    tracking = track(Pendulum(), upright(10, episodes=2), 0.1, 0.99)
    features = cost_features(jnp.ones((1, 2)))
    costs = np.asarray(features @ tracking.cost_keys.T)[0]
    np.testing.assert_array_equal(np.flatnonzero(costs < 1e6), [0, 1, 2, 3, 4, 10, 11, 12, 13, 14])


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
def test_a_steered_run_ends_with_what_steered_it(short_data, tmp_path):
    settings = ("backbone=mlp", "train.steps=2", "memory.steps=2", "dynamics.steps=2")
    small = ("dynamics.width=8", "evaluate.episodes=2", "data.num_experts=1")
    config = resolve(
        "hopper-medium", preset="smoke", arm="reframe-steered", settings=(*settings, *small)
    )
    run = Run(tmp_path / "run", tmp_path, Reporter(-1), StopRequest())
    run.folder.mkdir()
    result = train_policy(config, run)
    data = load_training_data(config, run.reporter)
    opened = make_or_open(config, data, run)
    assert result.retrieval["steering"] == opened.facts
    assert opened.tracking.gains.shape == (data.experts.num_steps, 3, 11)
    assert result.outcomes[0]["return_raw"] > 0
