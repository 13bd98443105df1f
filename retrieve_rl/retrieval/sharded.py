"""Several indexes that answer as one, merged exactly."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from retrieve_rl.retrieval.index import StoredIndex
from retrieve_rl.retrieval.keys import check_finite
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.types import Array


@dataclass(frozen=True)
class Shard:
    """An index over some of the rows.

    Attributes:
      index: answers with its own row numbers.
      rows: the row of the whole that each of its own rows is: the number of the first where they
        follow one another, else an array of them.
      half: 0 or 1 where the rows were split into two halves by group.
      center: around which its keys lie; None where they may lie anywhere.
    """

    index: StoredIndex
    rows: int | Int[np.ndarray, " N"] = 0
    half: int | None = None
    center: Float[np.ndarray, " D"] | None = None

    def search(self, queries: Float[Array, "B D"], num_neighbors: int) -> Neighbors:
        """As the index does, in row numbers of the whole."""
        return renumber(self.index.search(queries, num_neighbors), self.rows)


@dataclass(frozen=True)
class ShardedIndex:
    """The nearest of the shards' answers.

    Attributes:
      shards: at least one; together they hold each row once.
      num_cells_to_search: of the shards with a center, how many of the nearest are asked; shards
        without one always are.
    """

    shards: tuple[Shard, ...]
    num_cells_to_search: int = sys.maxsize

    @property
    def num_keys(self) -> int:
        return sum(shard.index.num_keys for shard in self.shards)

    @property
    def dim(self) -> int:
        return self.shards[0].index.dim

    def search(self, queries: Float[Array, "B D"], num_neighbors: int) -> Neighbors:
        """The `num_neighbors` nearest of the shards' answers, nearest first; host arrays.

        One shard after the other: each spreads its queries over all cores, and so reads every leaf
        once a core for the whole batch.

        Raises:
          DataError: a query is not finite.
        """
        queries = np.asarray(queries)
        check_finite(queries, "the query matrix")
        asked = self.asked(queries)
        answers = (
            (number, shard.search(queries[asked[number]], num_neighbors))
            for number, shard in enumerate(self.shards)
            if asked[number].any()
        )
        return nearest_of(answers, asked, num_neighbors)

    def asked(self, queries: Float[Array, "B D"]) -> Bool[np.ndarray, "S B"]:
        """Which shards each query is sent to."""
        centers = [shard.center for shard in self.shards]
        return cells_asked(centers, queries, self.num_cells_to_search)


def cells_asked(
    centers: Sequence[Float[np.ndarray, " D"] | None],
    queries: Float[Array, "B D"],
    num_cells_to_search: int,
) -> Bool[np.ndarray, "S B"]:
    """The cells with the nearest centers, and all shards that have none."""
    asked = np.ones((len(centers), len(queries)), bool)
    cells = [number for number, center in enumerate(centers) if center is not None]
    if num_cells_to_search >= len(cells):
        return asked
    known = np.stack([center for center in centers if center is not None])
    distances = np.sum(known**2, axis=1)[:, None] - 2 * known @ queries.T  # [C, B]
    order = np.argsort(distances, axis=0, kind="stable")[:num_cells_to_search]
    near = np.zeros(distances.shape, bool)
    np.put_along_axis(near, order, True, axis=0)
    asked[cells] = near
    return asked


def nearest_of(
    answers: Iterable[tuple[int, Neighbors]], asked: Bool[np.ndarray, "S B"], num_neighbors: int
) -> Neighbors:
    """The nearest of shards' answers, each (shard, what it found for the queries that asked it)."""
    best = no_neighbors(asked.shape[1], num_neighbors)
    for number, found in answers:
        asks = asked[number]
        kept = merge([Neighbors(*(part[asks] for part in best)), found], num_neighbors)
        best.indices[asks], best.distances[asks] = kept
    return best


def no_neighbors(num_queries: int, num_neighbors: int) -> Neighbors:
    """The answer of nobody."""
    shape = (num_queries, num_neighbors)
    return Neighbors(np.full(shape, -1, np.int32), np.full(shape, np.inf, np.float32))


def renumber(found: Neighbors, rows: int | Int[np.ndarray, " N"]) -> Neighbors:
    """An answer from some of the rows in row numbers of the whole; `rows` as in `Shard`."""
    indices, distances = np.asarray(found.indices), np.asarray(found.distances)
    whole = indices + rows if isinstance(rows, int) else rows[indices]
    return Neighbors(np.where(indices >= 0, whole, -1).astype(np.int32), distances)


def merge(answers: Sequence[Neighbors], num_neighbors: int) -> Neighbors:
    """The nearest of several answers to the same queries; equal distances in the order of rows."""
    indices = np.concatenate([np.asarray(answer.indices) for answer in answers], axis=1)
    distances = np.concatenate([np.asarray(answer.distances) for answer in answers], axis=1)
    order = np.lexsort((indices, distances), axis=1)[:, :num_neighbors]
    return Neighbors(
        np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    )
