"""The machine's own limit: the rate of a large float32 matrix product."""

import time
from collections.abc import Callable

PRODUCT_SIZE = 2048
PRODUCT_OPERATIONS = 2.0 * PRODUCT_SIZE**3


def square_product() -> Callable[[], None]:
    """A function that multiplies two 2048 x 2048 matrices; compiled before it is returned."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((PRODUCT_SIZE, PRODUCT_SIZE), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()

    def multiply() -> None:
        product(a, a).block_until_ready()

    return multiply


def product_rate() -> Callable[[], float]:
    """A function that measures the operations a second of `square_product`."""
    multiply = square_product()

    def measure() -> float:
        began = time.perf_counter()
        multiply()
        return PRODUCT_OPERATIONS / (time.perf_counter() - began)

    return measure
