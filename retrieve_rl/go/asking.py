"""Asking an index in several orientations, each answer turned into the query's own."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.go.symmetries import INVERSES
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.types import Array

EncodeFn = Callable[[int], Float[Array, "B D"]]
SearchFn = Callable[[Float[Array, "B D"]], Neighbors]


class TurnedNeighbors(NamedTuple):
    """A merged search result, nearest first; a row is listed once, in its nearest orientation.

    Attributes:
      indices: rows of the keys; -1 where there is no neighbor.
      distances: squared Euclidean; infinite where there is no neighbor.
      symmetries: what turns each neighbor into the query's orientation.
    """

    indices: Int[Array, "B K"]
    distances: Float[Array, "B K"]
    symmetries: Int[Array, "B K"]


def ask(
    encode: EncodeFn, search: SearchFn, orientations: int, num_neighbors: int
) -> TurnedNeighbors:
    """The nearest of what is found from each of the first `orientations` symmetries.

    Args:
      encode: the queries' keys when they are turned by a symmetry.
      search: the neighbors of such keys, at least `num_neighbors` of them.
    """
    return merge([search(encode(symmetry)) for symmetry in range(orientations)], num_neighbors)


def merge(found: Sequence[Neighbors], num_neighbors: int) -> TurnedNeighbors:
    """The nearest of what each of the first symmetries found, see `ask`."""
    indices = np.concatenate([np.asarray(one.indices) for one in found], axis=1)
    distances = np.concatenate([np.asarray(one.distances) for one in found], axis=1)
    # The turned query is like the stored neighbor, so the query is like the neighbor turned back.
    symmetries = np.repeat(INVERSES[: len(found)], np.asarray(found[0].indices).shape[1])
    symmetries = np.broadcast_to(symmetries, indices.shape)
    order = np.argsort(distances, axis=1, kind="stable")
    indices, distances, symmetries = (
        np.take_along_axis(part, order, axis=1) for part in (indices, distances, symmetries)
    )
    return _first_of_each_row(indices, distances, symmetries, num_neighbors)


def _first_of_each_row(
    indices: np.ndarray, distances: np.ndarray, symmetries: np.ndarray, num_neighbors: int
) -> TurnedNeighbors:
    """Drops a row that was already found nearer, in another orientation."""
    earlier = np.tril(np.ones((indices.shape[1],) * 2, bool), k=-1)
    repeated = ((indices[:, :, None] == indices[:, None, :]) & earlier).any(axis=2)
    kept = (indices >= 0) & ~repeated
    order = np.argsort(~kept, axis=1, kind="stable")[:, :num_neighbors]
    indices = np.where(kept, indices, -1)
    distances = np.where(kept, distances, np.inf)
    return TurnedNeighbors(
        *(np.take_along_axis(part, order, axis=1) for part in (indices, distances, symmetries))
    )
