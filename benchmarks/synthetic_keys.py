"""Keys shaped like projected features: a decaying spectrum, and clusters.

The variance of dimension i falls like 1/i, as along principal components; two thirds of it lie
between clusters of about 500 keys, the rest within them. Queries are drawn like keys and are not
among them.
"""

from pathlib import Path

import numpy as np

BETWEEN_CLUSTERS = 2 / 3
KEYS_PER_CLUSTER = 500
CHUNK_ROWS = 1 << 19


def write_keys(path: Path, num_keys: int, dim: int) -> None:
    """Writes float32 keys as npy, chunk after chunk; each chunk has its own seed."""
    centers = _centers(num_keys, dim)
    partial = path.with_name(f".{path.name}.partial")
    keys = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=(num_keys, dim))
    for number, start in enumerate(range(0, num_keys, CHUNK_ROWS)):
        stop = min(start + CHUNK_ROWS, num_keys)
        keys[start:stop] = _draw(np.random.default_rng([1, number]), centers, stop - start)
    keys.flush()
    partial.rename(path)


def queries(num_queries: int, num_keys: int, dim: int) -> np.ndarray:
    """Queries [num_queries, dim] for the keys that `write_keys` writes."""
    return _draw(np.random.default_rng([2]), _centers(num_keys, dim), num_queries)


def _deviations(dim: int) -> np.ndarray:
    return np.arange(1, dim + 1, dtype=np.float32) ** -0.5


def _centers(num_keys: int, dim: int) -> np.ndarray:
    rng = np.random.default_rng([0])
    count = max(1, num_keys // KEYS_PER_CLUSTER)
    centers = rng.standard_normal((count, dim), dtype=np.float32)
    return centers * _deviations(dim) * np.float32(BETWEEN_CLUSTERS**0.5)


def _draw(rng: np.random.Generator, centers: np.ndarray, count: int) -> np.ndarray:
    dim = centers.shape[1]
    within = rng.standard_normal((count, dim), dtype=np.float32) * _deviations(dim)
    return (
        within * np.float32((1 - BETWEEN_CLUSTERS) ** 0.5)
        + centers[rng.integers(0, len(centers), count)]
    )
