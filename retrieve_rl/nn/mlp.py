"""A stack of linear layers with an activation between them."""

from collections.abc import Callable

from flax import nnx
from jaxtyping import Float

from retrieve_rl.types import Array


class Mlp(nnx.Module):
    """Linear layers of the given widths; the activation after each but the last."""

    def __init__(
        self,
        widths: tuple[int, ...],
        *,
        activation: Callable[[Array], Array] = nnx.relu,
        rngs: nnx.Rngs,
    ) -> None:
        self.activation = activation
        self.layers = nnx.List(
            [
                nnx.Linear(fan_in, fan_out, rngs=rngs)
                for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True)
            ]
        )

    def __call__(self, x: Float[Array, "... I"]) -> Float[Array, "... O"]:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
