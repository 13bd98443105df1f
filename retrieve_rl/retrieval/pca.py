"""Principal components, fitted in one pass over chunks that need not fit into memory."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from retrieve_rl.errors import DataError
from retrieve_rl.types import Array


class Pca(NamedTuple):
    """A projection to the directions of largest variance.

    Attributes:
      mean: of the features it was fitted on.
      components: orthonormal columns, the largest variance first; each column's largest entry is
        positive, so that a fit has one answer.
      explained: the share of the variance along each column; their sum is what is kept.
    """

    mean: Float[np.ndarray, " F"]
    components: Float[np.ndarray, "F D"]
    explained: Float[np.ndarray, " D"]


def fit_pca(chunks: Iterable[Float[Array, "R F"]], dim: int) -> Pca:
    """Fits on all rows of `chunks`; the caller passes rows of the training groups alone.

    Moments are summed in float64 around the first chunk's mean, since those of features far from
    the origin would cancel.

    Raises:
      DataError: no rows, or `dim` is not between 1 and the features' width.
    """
    origin: np.ndarray | None = None
    count = 0
    for chunk in chunks:
        rows = np.asarray(chunk, np.float64)
        if not len(rows):
            continue
        if origin is None:
            origin = rows.mean(axis=0)
            total, products = np.zeros_like(origin), np.zeros((len(origin), len(origin)))
        rows = rows - origin
        total += rows.sum(axis=0)
        products += rows.T @ rows
        count += len(rows)
    if origin is None:
        raise DataError("there are no rows to fit principal components on")
    if not 1 <= dim <= len(origin):
        raise DataError(f"{dim} components asked of features of width {len(origin)}")
    shift = total / count
    covariance = products / count - np.outer(shift, shift)
    variances, directions = np.linalg.eigh(covariance)
    order = np.argsort(variances)[::-1][:dim]
    components = directions[:, order]
    largest = np.argmax(np.abs(components), axis=0)
    components = components * np.sign(components[largest, np.arange(dim)])
    variances = np.maximum(variances, 0.0)
    explained = variances[order] / max(float(variances.sum()), np.finfo(np.float64).tiny)
    return Pca(
        (origin + shift).astype(np.float32),
        components.astype(np.float32),
        explained.astype(np.float32),
    )


def project(pca: Pca, features: Float[Array, "*R F"]) -> Float[Array, "*R D"]:
    """The features' coordinates along the components."""
    return (features - pca.mean) @ pca.components
