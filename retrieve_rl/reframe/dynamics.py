"""A learned model of one step: what an action changes of an observation.

Several networks are trained alike from different parameters; their mean is the model. Half of what
they learn from are steps of the experts, along whose paths the model is to be exact.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int, PRNGKeyArray

from retrieve_rl.nn.mlp import Mlp
from retrieve_rl.reframe.config import DynamicsConfig
from retrieve_rl.reframe.windows import StepTable
from retrieve_rl.results import Run
from retrieve_rl.training.loop import train
from retrieve_rl.training.state import (
    Metrics,
    Params,
    TrainState,
    adamw,
    init_state,
    train_steps,
)
from retrieve_rl.types import Array

_STEPS_AT_ONCE = 100
_WARMUP_FRACTION, _WEIGHT_DECAY, _CLIP_NORM = 0.05, 1e-4, 1.0
_LARGEST_ERROR = 25.0
"""Of a step's squared error in one dimension: beyond it a collision is not worth learning."""


class Transitions(NamedTuple):
    """Steps and what followed them.

    Attributes:
      observations: standardized.
      changes: of the observations, to the next step.
    """

    observations: Float[Array, "S O"]
    actions: Float[Array, "S A"]
    changes: Float[Array, "S O"]


class StepNetwork(nnx.Module):
    """Observation and action to the change, in units of `DynamicsModel.scale`; smooth, so that it
    has derivatives worth using."""

    def __init__(
        self, observation_dim: int, action_dim: int, width: int, *, rngs: nnx.Rngs
    ) -> None:
        widths = (observation_dim + action_dim, width, width, observation_dim)
        self.network = Mlp(widths, activation=nnx.silu, rngs=rngs)

    def __call__(
        self, observations: Float[Array, "*B O"], actions: Float[Array, "*B A"]
    ) -> Float[Array, "*B O"]:
        return self.network(jnp.concatenate([observations, actions], axis=-1))


class DynamicsModel(NamedTuple):
    """The trained networks.

    Attributes:
      graphdef, params: of `StepNetwork`; every leaf of `params` has a leading axis of members.
      scale: standard deviation of the changes in the data.
    """

    graphdef: nnx.GraphDef
    params: Params
    scale: Float[Array, " O"]

    def change(
        self, observations: Float[Array, "*B O"], actions: Float[Array, "*B A"]
    ) -> Float[Array, "*B O"]:
        """What the action changes, in units of the observations: the mean of the members."""
        told = jax.vmap(lambda one: nnx.merge(self.graphdef, one)(observations, actions))
        return jnp.mean(told(self.params), axis=0) * self.scale


def transitions(table: StepTable) -> Transitions:
    """All steps but the last of every episode, whose next observation is not in the table."""
    rows = np.flatnonzero(table.trajectories[1:] == table.trajectories[:-1])
    observations = np.asarray(table.observations)
    changes = observations[rows + 1] - observations[rows]
    return Transitions(observations[rows], np.asarray(table.actions)[rows], changes)


def train_dynamics(
    config: DynamicsConfig, data: StepTable, experts: StepTable, seed: int, run: Run
) -> DynamicsModel:
    """Trains for `config.steps` steps.

    Raises:
      NonFiniteLossError: as it says.
      Interrupted: a signal asked to stop; the model is made anew next time.
    """
    known = jax.device_put((transitions(data), transitions(experts)))
    scale = jnp.maximum(jnp.std(known[0].changes, axis=0), 1e-3)
    sizes = (data.observations.shape[1], data.actions.shape[1], config.width)
    graphdef = nnx.split(nnx.eval_shape(lambda: StepNetwork(*sizes, rngs=nnx.Rngs(0))))[0]

    def fresh(rng_key: PRNGKeyArray) -> Params:
        return nnx.split(StepNetwork(*sizes, rngs=nnx.Rngs(rng_key)))[1]

    root = jax.random.key(seed)
    params = jax.vmap(fresh)(jax.random.split(jax.random.fold_in(root, 6), config.members))
    optimizer = adamw(
        config.learning_rate,
        warmup_steps=round(_WARMUP_FRACTION * config.steps),
        total_steps=config.steps,
        weight_decay=_WEIGHT_DECAY,
        clip_norm=_CLIP_NORM,
    )

    @partial(jax.jit, static_argnums=1)
    def step_fn(state: TrainState, num_steps: int) -> tuple[TrainState, Metrics]:
        return train_steps(
            state,
            jax.random.fold_in(root, 7),
            num_steps=num_steps,
            sample_fn=partial(sample_transitions, config, *known),
            loss_fn=partial(dynamics_loss, graphdef, scale),
            optimizer=optimizer,
        )

    start = state = init_state(params, optimizer)
    with run.reporter.track("model of the dynamics", config.steps) as advance:
        for state, _ in train(
            start, total_steps=config.steps, steps_at_once=_STEPS_AT_ONCE, step_fn=step_fn
        ):
            advance(int(state.step))
            run.stop.raise_if_requested("the model of the dynamics is made anew next time")
    return DynamicsModel(graphdef, state.params, scale)


def sample_transitions(
    config: DynamicsConfig, data: Transitions, experts: Transitions, rng_key: PRNGKeyArray
) -> Transitions:
    """For each member [M, B, ...]: half of the data, half of the experts."""
    half = config.batch_size // 2
    keys = jax.random.split(rng_key)

    def rows(rng_key: PRNGKeyArray, table: Transitions, count: int) -> Int[Array, "M B"]:
        return jax.random.randint(rng_key, (config.members, count), 0, len(table.actions))

    chosen = (rows(keys[0], data, config.batch_size - half), rows(keys[1], experts, half))
    return jax.tree.map(
        lambda one, other: jnp.concatenate([one[chosen[0]], other[chosen[1]]], axis=1),
        data,
        experts,
    )


def dynamics_loss(
    graphdef: nnx.GraphDef,
    scale: Float[Array, " O"],
    params: Params,
    batch: Transitions,
    rng_key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Metrics]:
    """Squared error of the scaled changes, summed over dimensions; the mean of all members."""
    del rng_key

    def told(one: Params, observations: Array, actions: Array) -> Array:
        return nnx.merge(graphdef, one)(observations, actions)

    errors = jax.vmap(told)(params, batch.observations, batch.actions) - batch.changes / scale
    return jnp.mean(jnp.sum(jnp.minimum(errors**2, _LARGEST_ERROR), axis=-1)), {}


def one_step_error(model: DynamicsModel, table: StepTable) -> float:
    """Mean squared error of the changes over their mean square; "nothing changes" has 1."""
    known = transitions(table)
    told = jax.jit(model.change)(known.observations, known.actions)
    scaled = [np.asarray(part) / np.asarray(model.scale) for part in (told, known.changes)]
    return float(np.mean((scaled[0] - scaled[1]) ** 2) / np.mean(scaled[1] ** 2))
