"""Steering a policy back to an expert's path, by what was recalled of it.

A memory row holds, for one step of an expert, its observation and action, the gain that answers a
deviation, and what a deviation is predicted to cost from there on (`tracking`). At play the step
whose path is cheapest to come back to is recalled; its action, answered to the deviation, is mixed
with the policy's. The policy need not know: any trained one can be steered.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from retrieve_rl.types import Array

_FARTHEST = 10.0
"""Standard deviations; beyond them no linear model holds."""


class Tracking(NamedTuple):
    """The steps of the experts' episodes, in their own standardization z = (s - center) / spread.

    Attributes:
      center, spread: of the experts' observations.
      observations: z of every step.
      actions: as recorded.
      gains: K; the answer to a deviation d is K d.
      cost_keys: the cost d' P d of a deviation as a product with `cost_features` of the query.
    """

    center: Float[Array, " O"]
    spread: Float[Array, " O"]
    observations: Float[Array, "N O"]
    actions: Float[Array, "N A"]
    gains: Float[Array, "N A O"]
    cost_keys: Float[Array, "N F"]


class Steered(NamedTuple):
    """The steered actions, and which steps of the experts they follow."""

    actions: Float[Array, "B A"]
    rows: Int[Array, " B"]


def cost_features(z: Float[Array, "*B O"]) -> Float[Array, "*B F"]:
    """[z z', z, 1], flat: F = O O + O + 1."""
    squares = (z[..., :, None] * z[..., None, :]).reshape(*z.shape[:-1], -1)
    return jnp.concatenate([squares, z, jnp.ones((*z.shape[:-1], 1))], axis=-1)


def cost_keys(z: Float[Array, "N O"], costs: Float[Array, "N O O"]) -> Float[Array, "N F"]:
    """k with k . cost_features(q) = (q - z)' P (q - z), for symmetric P."""
    through = jnp.einsum("nop,np->no", costs, z)
    own = jnp.sum(z * through, axis=-1, keepdims=True)
    return jnp.concatenate([costs.reshape(len(z), -1), -2.0 * through, own], axis=-1)


@partial(jax.jit, static_argnames=("weight", "gain_scale"))
def steer(
    tracking: Tracking,
    observations: Float[Array, "B O"],
    actions: Float[Array, "B A"],
    *,
    weight: float,
    gain_scale: float,
) -> Steered:
    """(1 - weight) a + weight (a_n + gain_scale K_n (z - z_n)), n the step cheapest to get back to.

    Args:
      observations: in the standardization of the policy.
      actions: the policy's own.
    """
    z = (observations - tracking.center) / tracking.spread
    z = jnp.clip(z, -_FARTHEST, _FARTHEST)
    rows = jnp.argmin(cost_features(z) @ tracking.cost_keys.T, axis=-1)
    deviations = z - tracking.observations[rows]
    answers = jnp.einsum("bao,bo->ba", tracking.gains[rows], deviations)
    expert = jnp.clip(tracking.actions[rows] + gain_scale * answers, -1.0, 1.0)
    return Steered((1.0 - weight) * actions + weight * expert, rows)
