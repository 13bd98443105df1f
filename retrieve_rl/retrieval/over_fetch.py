"""Hiding groups from an index that cannot: ever more rows are fetched, until enough are left."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.groups import without_groups
from retrieve_rl.retrieval.index import Index
from retrieve_rl.retrieval.neighbors import Neighbors

# Rows fetched beyond those asked for; doubled until enough.
_SPARE = 16
_FETCHED_AT_ONCE = 2**22
"""Rows of all queries together: a few hundred MB with their groups."""


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
        at_once = max(1, _FETCHED_AT_ONCE // fetched)
        for start in range(0, len(pending), at_once):
            asking = pending[start : start + at_once]
            found = index.search(queries[asking], fetched)
            groups = groups_of(np.asarray(found.indices))
            kept = without_groups(found, groups, not_from[asking], num_neighbors)
            indices[asking], distances[asking] = kept
        if fetched == num_keys:
            break
        pending = pending[indices[pending, -1] < 0]
        fetched = min(2 * fetched, num_keys)
    return Neighbors(indices, distances)
