"""Hiding groups from an index that cannot: ever more rows are fetched, until enough are left."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.groups import without_groups
from retrieve_rl.retrieval.index import Index
from retrieve_rl.retrieval.neighbors import Neighbors

# Rows fetched beyond those asked for; doubled until enough.
_SPARE = 16


def search_over_fetching(
    index: Index,
    num_keys: int,
    groups_of: Callable[[Int[np.ndarray, "B K"]], Int[np.ndarray, "B K"]],
    queries: Float[np.ndarray, "B D"],
    num_neighbors: int,
    not_from: Int[np.ndarray, "B G"],
) -> Neighbors:
    """The nearest rows whose group is not listed in the query's row of `not_from`; host arrays.

    Args:
      num_keys: of the index.
      groups_of: row numbers -> their groups; whatever for -1.
    """
    indices = np.full((len(queries), num_neighbors), -1, np.int32)
    distances = np.full((len(queries), num_neighbors), np.inf, np.float32)
    pending = np.arange(len(queries))
    fetched = min(num_neighbors + _SPARE, num_keys)
    while len(pending):
        found = index.search(queries[pending], fetched)
        groups = groups_of(np.asarray(found.indices))
        kept = without_groups(found, groups, not_from[pending], num_neighbors)
        indices[pending], distances[pending] = kept
        if fetched == num_keys:
            break
        pending = pending[kept.indices[:, -1] < 0]
        fetched = min(2 * fetched, num_keys)
    return Neighbors(indices, distances)
