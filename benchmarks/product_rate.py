"""The machine's own limit: the rate of a large float32 matrix product."""

import time
from collections.abc import Callable

PRODUCT_SIZE = 2048
PRODUCT_OPERATIONS = 2.0 * PRODUCT_SIZE**3
_TRIES = 3


def product_rate() -> Callable[[], float]:
    """A function that measures the operations a second of a product of two 2048 x 2048 matrices.

    The best of three: the first finds the caches as other work left them.
    """
    import jax
    import jax.numpy as jnp

    a = jnp.ones((PRODUCT_SIZE, PRODUCT_SIZE), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()

    def seconds() -> float:
        began = time.perf_counter()
        product(a, a).block_until_ready()
        return time.perf_counter() - began

    return lambda: PRODUCT_OPERATIONS / min(seconds() for _ in range(_TRIES))
