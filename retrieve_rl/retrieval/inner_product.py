"""Squared distances as inner products, for which ScaNN has its fastest search.

With a key extended by -|k|^2 / 2 and a query by 1,

    [1, q] . [-|k|^2 / 2, k] = (|q|^2 - |q - k|^2) / 2,

so the largest products belong to the nearest keys. The norm takes three dimensions, whose sum it
is: one number of the precision in which keys are kept (bfloat16, int8) would drown the distances.
"""

import numpy as np
from jaxtyping import Float

from retrieve_rl.types import Array

NORM_DIMS = 3


def extended_queries(queries: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B D+3"]:
    """Queries for keys whose first `NORM_DIMS` numbers add up to -|k|^2 / 2."""
    ones = np.ones((len(queries), NORM_DIMS), np.float32)
    return np.concatenate([ones, queries], axis=1)


def squared_distances(
    queries: Float[np.ndarray, "B D"], products: Float[Array, "B K"]
) -> Float[np.ndarray, "B K"]:
    """|q - k|^2 of the products of extended queries and keys; below zero at most by rounding."""
    norms = np.einsum("bd,bd->b", queries, queries)
    return norms[:, None] - 2.0 * np.asarray(products)
