"""Dropout whose masks cost next to nothing, on a CPU as well as on an accelerator.

A mask is a hash of (key, position), computed where it is used: XLA fuses it into the multiplication
it belongs to and no random bits pass through memory.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray, UInt32

from retrieve_rl.types import Array


class DropoutStream:
    """Hands out a fresh pair of words per use, so that no two masks of a forward pass are alike.

    Without a key every dropout is the identity, for evaluation.

    Args:
      examples: where a batch comes in parts, the numbers that a part's examples have in the whole,
        so that their masks are those of the whole. What is dropped lists them along its first
        axis, one entry each or several in a row.
    """

    def __init__(
        self, rng_key: PRNGKeyArray | None, examples: Int[Array, " B"] | None = None
    ) -> None:
        self._rng_key = rng_key
        self._examples = examples
        self._uses = 0

    def __call__(self, x: Float[Array, "N ..."], rate: float) -> Float[Array, "N ..."]:
        """Zeroes each entry with probability `rate` and scales the others by 1 / (1 - rate)."""
        if self._rng_key is None or rate == 0.0 or x.size == 0:
            return x
        use_key = jax.random.fold_in(self._rng_key, self._uses)
        self._uses += 1
        words = jax.random.bits(use_key, (2,), jnp.uint32)
        bits = _mix(_mix(self._positions(x.shape) + words[0]) ^ words[1])
        threshold = jnp.uint32(round(rate * 2**32))
        return jnp.where(bits >= threshold, x * (1.0 / (1.0 - rate)), 0.0)

    def _positions(self, shape: tuple[int, ...]) -> UInt32[Array, "..."]:
        """The number of each entry in the whole batch, row after row."""
        row_size = math.prod(shape[1:])
        # Reshaped before it is broadcast: the other way the loop that XLA makes is a fifth slower.
        in_row = jax.lax.iota(jnp.uint32, row_size).reshape(1, *shape[1:])
        examples = jnp.arange(shape[0]) if self._examples is None else self._examples
        rows_of_each = shape[0] // examples.size
        first = examples.astype(jnp.uint32) * rows_of_each
        rows = first[:, None] + jax.lax.iota(jnp.uint32, rows_of_each)
        return (rows * row_size).reshape(-1, *[1] * (len(shape) - 1)) + in_row


def _mix(x: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """A bijection of 32-bit words with little bias (C. Wellons, "lowbias32", public domain)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
