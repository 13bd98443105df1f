"""How a recalled expert action enters the policy's action: one small module per form.

The paper says that the decoded action joins the output by a learned "correction vector" and leaves
its form open. `Add` is the literal reading; `Gate` and `Replace` are ours.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from retrieve_rl.nn.mlp import Mlp
from retrieve_rl.types import Array

_ADD_WIDTH = 64
_GATE_WIDTH = 64
_ESTIMATE_WIDTH = 256


class Recalled(NamedTuple):
    """What the memory answered for a step, after the lookup has made one answer of it.

    Attributes:
      actions: the candidate expert action.
      closeness: exp(-d / scale) of the first neighbor; 0 means far or absent.
      present: whether there was any neighbor.
      observations: the query's observation in the memory's own standardization, clipped to +-5.
    """

    actions: Float[Array, "*B A"]
    closeness: Float[Array, "*B"]
    present: Bool[Array, "*B"]
    observations: Float[Array, "*B O"]


class Corrected(NamedTuple):
    """The corrected action, and how far the gate opened (mean over the action's dimensions)."""

    actions: Float[Array, "*B A"]
    gate: Float[Array, "*B"]


class Correction(Protocol):
    """A small network over one step's features, action and recollection."""

    def __init__(
        self, feature_dim: int, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None: ...

    def __call__(
        self, features: Float[Array, "*B H"], actions: Float[Array, "*B A"], recalled: Recalled
    ) -> Corrected: ...


class Add(nnx.Module):
    """The literal reading: a + c(features, expert action), c a small network."""

    def __init__(
        self, feature_dim: int, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None:
        del observation_dim
        self.network = Mlp((feature_dim + action_dim, _ADD_WIDTH, action_dim), rngs=rngs)

    def __call__(
        self, features: Float[Array, "*B H"], actions: Float[Array, "*B A"], recalled: Recalled
    ) -> Corrected:
        vector = self.network(jnp.concatenate([features, recalled.actions], axis=-1))
        return Corrected(actions + vector, jnp.ones(actions.shape[:-1]))


class Gate(nnx.Module):
    """Ours: a + g * (e - a), with g in (0, 1) for each dimension of the action.

    e estimates the expert's action from the recalled one, its closeness and the observation, which
    smooths the noise of single expert actions. g sees the same and how far e is from a, so it can
    close where the memory is far, which an additive vector cannot know. Neither reads the
    backbone's features, so the correction is the same network over any backbone.
    """

    def __init__(
        self, feature_dim: int, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None:
        del feature_dim
        inputs = observation_dim + action_dim + 1
        widths = (inputs, _ESTIMATE_WIDTH, _ESTIMATE_WIDTH, action_dim)
        self.estimate = Mlp(widths, rngs=rngs)
        self.gate = Mlp((inputs, _GATE_WIDTH, action_dim), rngs=rngs)

    def __call__(
        self, features: Float[Array, "*B H"], actions: Float[Array, "*B A"], recalled: Recalled
    ) -> Corrected:
        del features
        closeness = recalled.closeness[..., None]
        known = (recalled.observations, recalled.actions, closeness)
        estimate = jnp.tanh(self.estimate(jnp.concatenate(known, axis=-1)))
        difference = estimate - actions
        seen = (recalled.observations, difference, closeness)
        gate = jax.nn.sigmoid(self.gate(jnp.concatenate(seen, axis=-1)))
        return Corrected(actions + gate * difference, jnp.mean(gate, axis=-1))


class Replace(nnx.Module):
    """The recalled action as it is; with recorded actions, the nearest-expert control."""

    def __init__(
        self, feature_dim: int, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None:
        del feature_dim, observation_dim, action_dim, rngs

    def __call__(
        self, features: Float[Array, "*B H"], actions: Float[Array, "*B A"], recalled: Recalled
    ) -> Corrected:
        del features
        return Corrected(recalled.actions, jnp.ones(actions.shape[:-1]))
