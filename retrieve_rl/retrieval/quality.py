"""How good an index is: recall against exact search, distances, milliseconds."""

import time

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.index import Index
from retrieve_rl.retrieval.keys import chunks, read_at_random
from retrieve_rl.retrieval.neighbors import Neighbors, nearest
from retrieve_rl.retrieval.sharded import merge, no_neighbors, renumber
from retrieve_rl.types import Array

RECALL_AT = 10
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Rounding of a distance measured twice, as a share of it.
_ROUNDING = 1e-5
# Of a key computed twice, as a share of its length: a network rounds the same input otherwise in
# another batch, and of many copies ten would be the nearest by that alone.
_ROUNDING_OF_KEYS = 1e-6

_nearest = jax.jit(nearest, static_argnames="num_neighbors")


def true_neighbors(
    keys: Float[Array, "N D"],
    queries: Float[Array, "B D"],
    num_neighbors: int,
    key_groups: Int[Array, " N"] | None = None,
    not_from: Int[Array, "B G"] | None = None,
) -> Neighbors:
    """Exact search over keys that need not fit into memory, chunk after chunk; host arrays."""
    asked = jnp.asarray(queries)
    best = no_neighbors(len(queries), 0)
    for start, chunk in chunks(keys):
        groups = None if key_groups is None else key_groups[start : start + len(chunk)]
        found = _nearest(
            jnp.asarray(chunk), asked, num_neighbors, key_groups=groups, not_from=not_from
        )
        best = merge([best, renumber(found, start)], num_neighbors)
    return best


def recall_at_k(
    found: Neighbors, truth: Neighbors, keys: Float[Array, "N D"], queries: Float[Array, "B D"]
) -> float:
    """The share of the k true neighbors that were found, averaged over the queries."""
    return float(np.mean(recall_of_each(found, truth, keys, queries)))


def recall_of_each(
    found: Neighbors, truth: Neighbors, keys: Float[Array, "N D"], queries: Float[Array, "B D"]
) -> Float[np.ndarray, " B"]:
    """The share of the k true neighbors that were found, for each query; 1 where there are none.

    Of duplicates any will do: a row counts if it is as near as the k-th true neighbor, but for the
    rounding of keys and distances. `found` has k columns; where `truth` has one more, it tells
    which queries have such ties, and only for those are distances measured anew (those of an
    approximate index are rounded, and keys may lie on a disk). Without it they are measured for
    all.
    """
    found_rows = np.asarray(found.indices)
    k = found_rows.shape[1]
    true_rows, true_distances = np.asarray(truth.indices), np.asarray(truth.distances)
    wanted = np.sum(true_rows[:, :k] >= 0, axis=1)
    farthest = np.where(true_rows >= 0, true_distances, 0.0)[:, :k].max(axis=1, initial=0.0)
    of_keys = _ROUNDING_OF_KEYS**2 * np.sum(np.square(queries, dtype=np.float64), axis=1)
    reach = (farthest * (1 + _ROUNDING) + of_keys)[:, None]
    near = (found_rows[:, :, None] == true_rows[:, None, :k]).any(axis=2) & (found_rows >= 0)
    tied = np.ones(len(near), bool)
    if true_rows.shape[1] > k:
        tied = true_distances[:, k] <= reach[:, 0]
    unknown = np.where(near | ~tied[:, None], -1, found_rows)
    near |= distances_to(keys, queries, unknown) <= reach
    return np.where(wanted > 0, np.minimum(near.sum(axis=1), wanted) / np.maximum(wanted, 1), 1.0)


def distances_to(
    keys: Float[Array, "N D"], queries: Float[Array, "B D"], indices: Int[Array, "B K"]
) -> Float[Array, "B K"]:
    """Squared distances from each query to its rows `indices`; infinite where the index is -1."""
    distances = np.full(indices.shape, np.inf, np.float32)
    with read_at_random(keys):
        for number, rows in enumerate(indices):
            present = rows >= 0
            differences = keys[rows[present]] - queries[number]
            distances[number, present] = np.sum(differences**2, axis=-1)
    return distances


def quantiles(distances: Float[Array, "..."]) -> dict[str, float]:
    """Five quantiles of the finite distances, for a result file; empty where there are none."""
    finite = distances[np.isfinite(distances)]
    if not len(finite):
        return {}
    values = np.quantile(finite, _QUANTILES)
    return {f"q{round(100 * q):02d}": float(v) for q, v in zip(_QUANTILES, values, strict=True)}


def milliseconds_per_query(
    index: Index, queries: Float[Array, "B D"], num_neighbors: int, repeats: int = 3
) -> float:
    """Median over `repeats` searches of the whole batch, after one that warms up."""
    index.search(queries, num_neighbors)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        np.asarray(index.search(queries, num_neighbors).indices)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)) / len(queries) * 1e3
