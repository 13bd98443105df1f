"""The machine's own limit: the rate of the fastest of three float32 matrix products."""

import sys
import time
from collections.abc import Callable, Sequence

PRODUCT_SIZES = (512, 1024, 2048)
"""Rows and columns: which size a machine multiplies fastest differs by its caches."""
_TRIES = 3
BUSY_SPREAD = 1.5
"""On a quiet machine the fastest and the slowest rate of a run differ by a few percent."""


def product_rate() -> Callable[[], float]:
    """A function that measures the operations a second of products of square matrices.

    Each size makes as many operations as the largest does in one product. The best of its three
    tries counts, for the first finds the caches as other work left them, and of the sizes the best.
    """
    import jax
    import jax.numpy as jnp

    product = jax.jit(jnp.matmul)
    matrices = {size: jnp.ones((size, size), jnp.float32) for size in PRODUCT_SIZES}
    for matrix in matrices.values():
        product(matrix, matrix).block_until_ready()
    operations = 2.0 * max(PRODUCT_SIZES) ** 3

    def seconds(size: int) -> float:
        matrix = matrices[size]
        began = time.perf_counter()
        for _ in range((max(PRODUCT_SIZES) // size) ** 3):
            product(matrix, matrix).block_until_ready()
        return time.perf_counter() - began

    return lambda: operations / min(seconds(size) for size in PRODUCT_SIZES for _ in range(_TRIES))


def refuse_busy(rates: Sequence[float]) -> None:
    """Ends the benchmark where its rates say that other programs were using the cores.

    Raises:
      SystemExit: the rates are too far apart.
    """
    if max(rates) > BUSY_SPREAD * min(rates):
        sys.exit("not written: other programs were using the cores; run again when they are free")
