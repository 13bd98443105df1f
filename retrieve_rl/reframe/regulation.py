"""How to come back to an expert's path: time-varying linear-quadratic regulation around its steps.

Around step t of an episode the learned dynamics are d_{t+1} = A d_t + B e_t, with d the deviation
of the observation, e that of the action. The cost of deviations, sum of discount^k (|d|^2 / O +
control_cost |e|^2) to the end of the episode, is least for e = K_t d; the gains follow from the end
backwards (Riccati).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from retrieve_rl.reframe.dynamics import DynamicsModel
from retrieve_rl.types import Array

_LINEARIZED_AT_ONCE = 256


class Linear(NamedTuple):
    """The dynamics around every step: d' = A d + B e."""

    a: Float[Array, "N O O"]
    b: Float[Array, "N O U"]


def linearize(
    model: DynamicsModel,
    z: Float[Array, "N O"],
    actions: Float[Array, "N U"],
    center: Float[Array, " O"],
    spread: Float[Array, " O"],
) -> Linear:
    """Derivatives of the next z = (observation - center) / spread by z and by the action."""

    def following(z: Float[Array, " O"], action: Float[Array, " U"]) -> Float[Array, " O"]:
        return z + model.change(z * spread + center, action) / spread

    derivatives = jax.jacfwd(following, argnums=(0, 1))
    return Linear(
        *jax.lax.map(lambda step: derivatives(*step), (z, actions), batch_size=_LINEARIZED_AT_ONCE)
    )


@jax.jit
def regulate(
    linear: Linear,
    trajectories: Int[Array, " N"],
    control_cost: Float[Array, ""] | float,
    discount: Float[Array, ""] | float,
) -> Float[Array, "N U O"]:
    """The gain K of every step, zero at the last of an episode.

    The least cost d' P d of a deviation is carried from the end of every episode backwards.
    """
    observation_dim, action_dim = linear.b.shape[1:]
    of_state = jnp.eye(observation_dim) / observation_dim
    of_control = control_cost * jnp.eye(action_dim)

    def before(following: Array, step: tuple[Linear, Array]) -> tuple[Array, Array]:
        (a, b), last = step
        through = discount * b.T @ following
        gain = -jnp.linalg.solve(of_control + through @ b, through @ a)
        closed = a + b @ gain
        cost = of_state + gain.T @ of_control @ gain + discount * closed.T @ following @ closed
        cost = jnp.where(last, of_state, 0.5 * (cost + cost.T))
        return cost, jnp.where(last, 0.0, gain)

    _, gains = jax.lax.scan(before, of_state, (linear, is_last(trajectories)), reverse=True)
    return gains


def is_last(trajectories: Int[Array, " N"]) -> Bool[Array, " N"]:
    """Where the next row is of another episode, or there is none."""
    return jnp.append(trajectories[1:] != trajectories[:-1], True)
