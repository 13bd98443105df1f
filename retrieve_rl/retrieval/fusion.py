"""Ways to turn K encoded neighbors into one vector; permuting the neighbors changes nothing.

A neighbor is removed before it is encoded, by zeroing its input, and not here: what the zero input
encodes to is part of the sum, with and without neighbors (Humphreys et al. 2022, section 3).
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from retrieve_rl.types import Array


def closeness(distances: Float[Array, "*B K"], scale: float) -> Float[Array, "*B K"]:
    """exp(-distance / scale): 1 for the key itself, 0 for one that is far or absent (infinite)."""
    return jnp.exp(-distances / scale)


def scaled_sum(encoded: Float[Array, "*B K H"]) -> Float[Array, "*B H"]:
    """Sum over the neighbors divided by the square root of their number (Humphreys et al. 2022)."""
    return jnp.sum(encoded, axis=-2) * encoded.shape[-2] ** -0.5


class AttentionFusion(nnx.Module):
    """Attention of the query over its neighbors, biased by their closeness (ours).

    The bias starts at zero; an absent neighbor has closeness 0 and keeps its share of attention,
    as its zero input keeps its term in the sum.
    """

    def __init__(self, query_dim: int, neighbor_dim: int, *, rngs: nnx.Rngs) -> None:
        self.query = nnx.Linear(query_dim, neighbor_dim, rngs=rngs)
        self.key = nnx.Linear(neighbor_dim, neighbor_dim, rngs=rngs)
        self.closeness_weight = nnx.Param(jnp.zeros(()))

    def __call__(
        self,
        query: Float[Array, "*B Q"],
        encoded: Float[Array, "*B K H"],
        closeness: Float[Array, "*B K"],
    ) -> Float[Array, "*B H"]:
        scores = jnp.einsum("...h,...kh->...k", self.query(query), self.key(encoded))
        scores = scores * encoded.shape[-1] ** -0.5 + self.closeness_weight[...] * closeness
        return jnp.einsum("...k,...kh->...h", nnx.softmax(scores, axis=-1), encoded)


class DistanceGate(nnx.Module):
    """Scales every neighbor by a gate in (0, 1) that reads its closeness, before the sum (ours)."""

    def __init__(self) -> None:
        self.weight = nnx.Param(jnp.ones(()))
        self.bias = nnx.Param(jnp.zeros(()))

    def __call__(
        self, encoded: Float[Array, "*B K H"], closeness: Float[Array, "*B K"]
    ) -> Float[Array, "*B H"]:
        gate = nnx.sigmoid(self.weight[...] * closeness + self.bias[...])
        return scaled_sum(gate[..., None] * encoded)
