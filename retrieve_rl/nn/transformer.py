"""A pre-norm causal transformer that computes only the positions it is read at."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.types import Array

EVERY_POSITION = slice(None)


class Attention(nnx.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, num_heads: int, dropout: float, *, rngs: nnx.Rngs) -> None:
        if width % num_heads:
            raise ValueError(f"width {width} is not a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nnx.Linear(width, width, rngs=rngs)
        self.key_value = nnx.Linear(width, 2 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L H"],
        attend: Bool[Array, "B L L"],
        dropout: DropoutStream,
        positions: slice = EVERY_POSITION,
    ) -> Float[Array, "B P H"]:
        query = self._heads(_project(self.query, x[:, positions]))
        key, value = jnp.split(_project(self.key_value, x), 2, axis=-1)
        key, value = self._heads(key), self._heads(value)
        scores = query @ key.swapaxes(-1, -2) * query.shape[-1] ** -0.5
        # finfo.min, not -inf: a row that may attend to nothing stays finite.
        scores = jnp.where(attend[:, None, positions], scores, jnp.finfo(scores.dtype).min)
        weights = dropout(nnx.softmax(scores, axis=-1), self.dropout)
        mixed = (weights @ value).swapaxes(1, 2)
        return _project(self.out, mixed.reshape(*mixed.shape[:2], -1))

    def _heads(self, x: Float[Array, "B L H"]) -> Float[Array, "B N L D"]:
        return x.reshape(*x.shape[:-1], self.num_heads, -1).swapaxes(1, 2)


class Block(nnx.Module):
    """Attention and a feed-forward network of four times the width, each added to its input."""

    def __init__(self, width: int, num_heads: int, dropout: float, *, rngs: nnx.Rngs) -> None:
        self.dropout = dropout
        self.attention_norm = nnx.LayerNorm(width, rngs=rngs)
        self.attention = Attention(width, num_heads, dropout, rngs=rngs)
        self.hidden_norm = nnx.LayerNorm(width, rngs=rngs)
        self.hidden = nnx.Linear(width, 4 * width, rngs=rngs)
        self.out = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L H"],
        attend: Bool[Array, "B L L"],
        dropout: DropoutStream,
        positions: slice = EVERY_POSITION,
    ) -> Float[Array, "B P H"]:
        attended = self.attention(self.attention_norm(x), attend, dropout, positions)
        x = x[:, positions] + dropout(attended, self.dropout)
        hidden = _project(self.out, nnx.relu(_project(self.hidden, self.hidden_norm(x))))
        return x + dropout(hidden, self.dropout)


class Transformer(nnx.Module):
    """A stack of blocks and a final norm.

    The last block computes only `positions`, the ones the caller reads: the outputs are the same
    and, for a Decision Transformer, two thirds of that block's work fall away.
    """

    def __init__(
        self, width: int, *, num_layers: int, num_heads: int, dropout: float, rngs: nnx.Rngs
    ) -> None:
        self.blocks = nnx.List(
            [Block(width, num_heads, dropout, rngs=rngs) for _ in range(num_layers)]
        )
        self.norm = nnx.LayerNorm(width, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L H"],
        attend: Bool[Array, "B L L"],
        dropout: DropoutStream,
        positions: slice = EVERY_POSITION,
    ) -> Float[Array, "B P H"]:
        for block in self.blocks[:-1]:
            x = block(x, attend, dropout)
        return self.norm(self.blocks[-1](x, attend, dropout, positions))


def _project(linear: nnx.Linear, x: Float[Array, "B L I"]) -> Float[Array, "B L O"]:
    """What `linear(x)` computes, with a faster gradient on a CPU."""
    assert linear.bias is not None
    flat = _matmul(x.reshape(-1, x.shape[-1]), linear.kernel[...]) + linear.bias[...]
    return flat.reshape(*x.shape[:-1], -1)


@jax.custom_vjp
def _matmul(x: Float[Array, "M I"], kernel: Float[Array, "I O"]) -> Float[Array, "M O"]:
    """A product whose gradients are products of row-major matrices too.

    Left alone, XLA sums the kernel's gradient over the rows of both factors, a form its fast CPU
    routines do not take: those products then need almost twice the time. The barrier keeps the
    transposition of the narrower factor, a cheap copy, out of the product.
    """
    return x @ kernel


def _matmul_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _matmul_backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = saved
    barrier = jax.lax.optimization_barrier
    if x.shape[1] <= gradient.shape[1]:
        kernel_gradient = barrier(x.T) @ gradient
    else:
        kernel_gradient = barrier(barrier(gradient.T) @ x).T
    return gradient @ kernel.T, kernel_gradient


_matmul.defvjp(_matmul_forward, _matmul_backward)
