"""A stack of linear layers with ReLU between them."""

from flax import nnx
from jaxtyping import Float

from retrieve_rl.types import Array


class Mlp(nnx.Module):
    """Linear layers of the given widths; ReLU after each but the last."""

    def __init__(self, widths: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List(
            [
                nnx.Linear(fan_in, fan_out, rngs=rngs)
                for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True)
            ]
        )

    def __call__(self, x: Float[Array, "... I"]) -> Float[Array, "... O"]:
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)
