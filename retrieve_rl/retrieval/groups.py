"""Groups: the games or trajectories whose rows must not answer each other's queries."""

import numpy as np
from jaxtyping import Bool, Int

from retrieve_rl.retrieval.neighbors import NO_GROUP, Neighbors
from retrieve_rl.types import Array


def second_half(groups: Int[Array, " N"], seed: int) -> Bool[Array, " N"]:
    """Which rows fall into the second of two halves, whole groups together.

    Each half is the retrieval set of the other (Humphreys et al. 2022, section 3.3): a query then
    never meets its own group. The half of a group depends on its number and the seed alone, so it
    stays the same when groups are added.
    """
    words = np.asarray(groups).astype(np.uint64) + np.uint64(seed % 2**32) * np.uint64(2**32)
    # The last step of splitmix64 (S. Vigna, public domain).
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((words ^ (words >> np.uint64(31))) & np.uint64(1)).astype(bool)


def without_groups(
    neighbors: Neighbors,
    groups: Int[Array, "B K"],
    not_from: Int[Array, "B G"],
    num_neighbors: int,
) -> Neighbors:
    """The first `num_neighbors` whose group is not listed in the query's row of `not_from`.

    `groups` are those of the neighbors; `NO_GROUP` in `not_from` excludes nothing. Host arrays; -1
    where too few are left.
    """
    indices, distances = np.asarray(neighbors.indices), np.asarray(neighbors.distances)
    listed = (groups[:, :, None] == not_from[:, None, :]) & (not_from[:, None, :] != NO_GROUP)
    allowed = (indices >= 0) & ~listed.any(axis=-1)
    return _first(indices, distances, allowed, num_neighbors)


def without_rows(neighbors: Neighbors, own_rows: Int[Array, " B"], num_neighbors: int) -> Neighbors:
    """The first `num_neighbors` that are not the query's own row."""
    indices = np.asarray(neighbors.indices)
    allowed = (indices >= 0) & (indices != own_rows[:, None])
    return _first(indices, np.asarray(neighbors.distances), allowed, num_neighbors)


def _first(
    indices: Int[Array, "B K"],
    distances: np.ndarray,
    allowed: Bool[Array, "B K"],
    num_neighbors: int,
) -> Neighbors:
    """The first allowed columns of each row, in their order."""
    padding = ((0, 0), (0, max(0, num_neighbors - indices.shape[1])))
    indices = np.pad(np.where(allowed, indices, -1), padding, constant_values=-1)
    distances = np.pad(np.where(allowed, distances, np.inf), padding, constant_values=np.inf)
    order = np.argsort(indices < 0, axis=1, kind="stable")[:, :num_neighbors]
    return Neighbors(
        np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    )
