"""A pre-norm causal transformer that computes only the positions it is read at."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from retrieve_rl.nn.dropout import DropoutStream

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
        heads = (self.num_heads, x.shape[-1] // self.num_heads)
        query = self.query(x[:, positions])
        query = query.reshape(*query.shape[:-1], *heads)
        key, value = jnp.split(self.key_value(x), 2, axis=-1)
        key = key.reshape(*key.shape[:-1], *heads)
        value = value.reshape(*value.shape[:-1], *heads)
        scores = jnp.einsum("bphd,blhd->bhpl", query, key) * heads[1] ** -0.5
        # finfo.min, not -inf: a row that may attend to nothing stays finite.
        scores = jnp.where(attend[:, None, positions], scores, jnp.finfo(scores.dtype).min)
        weights = dropout(nnx.softmax(scores, axis=-1), self.dropout)
        mixed = jnp.einsum("bhpl,blhd->bphd", weights, value)
        return self.out(mixed.reshape(*mixed.shape[:2], -1))


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
        hidden = self.out(nnx.relu(self.hidden(self.hidden_norm(x))))
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
