"""A residual network over planes of a small board."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from retrieve_rl.types import Array

_NEIGHBORHOOD = 3


class BoardConv(nnx.Module):
    """A 3x3 convolution, zeros beyond the edge, written as matrix products.

    XLA's gradient of a convolution inside a scan is twenty times slower on a CPU than outside; that
    of a matrix product is not. The three columns of a neighborhood are laid side by side and
    multiplied once for all three rows, whose results are then added: laying all nine side by side
    would write three times as much.
    """

    def __init__(self, channels_in: int, channels_out: int, *, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(
            _NEIGHBORHOOD**2 * channels_in,
            channels_out,
            kernel_init=nnx.initializers.he_normal(),
            rngs=rngs,
        )

    def __call__(self, x: Float[Array, "B Y X I"]) -> Float[Array, "B Y X O"]:
        batch, height, width, channels = x.shape
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        columns = [padded[:, :, column : column + width] for column in range(_NEIGHBORHOOD)]
        beside = jnp.concatenate(columns, axis=-1)  # [B, Y + 2, X, 3 I]
        bias = self.linear.bias
        assert bias is not None
        # The kernel's inputs are ordered by row, column and channel.
        kernel = self.linear.kernel[...].reshape(_NEIGHBORHOOD, _NEIGHBORHOOD * channels, -1)
        kernel = jnp.concatenate(list(kernel), axis=-1)  # [3 I, 3 O]
        of_rows = beside.reshape(-1, len(kernel)) @ kernel
        of_rows = of_rows.reshape(batch, height + 2, width, _NEIGHBORHOOD, -1)
        return bias[...] + sum(
            of_rows[:, row : row + height, :, row] for row in range(_NEIGHBORHOOD)
        )


class ResidualBlock(nnx.Module):
    """Two convolutions, each behind a norm and ReLU, added to their input.

    The norm is over the channels of a point: it needs no statistics of the batch, so that a
    position's features do not depend on what it is encoded with.
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.norms = nnx.List([nnx.LayerNorm(channels, rngs=rngs) for _ in range(2)])
        self.convs = nnx.List([BoardConv(channels, channels, rngs=rngs) for _ in range(2)])

    def __call__(self, x: Float[Array, "B Y X H"]) -> Float[Array, "B Y X H"]:
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(nnx.relu(norm(y)))
        return x + y


class ResNet(nnx.Module):
    """A convolution, residual blocks, a last norm and ReLU; the board keeps its size."""

    def __init__(self, planes: int, channels: int, num_blocks: int, *, rngs: nnx.Rngs) -> None:
        self.stem = BoardConv(planes, channels, rngs=rngs)
        self.blocks = nnx.List([ResidualBlock(channels, rngs=rngs) for _ in range(num_blocks)])
        self.norm = nnx.LayerNorm(channels, rngs=rngs)

    def __call__(self, planes: Float[Array, "B Y X I"]) -> Float[Array, "B Y X H"]:
        x = self.stem(planes)
        for block in self.blocks:
            x = block(x)
        return nnx.relu(self.norm(x))
