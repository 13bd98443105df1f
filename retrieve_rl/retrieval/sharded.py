"""Several indexes that answer as one, merged exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.index import StoredIndex
from retrieve_rl.retrieval.keys import as_queries
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
      groups: of its rows, sorted, where its index knows them by their places here and can hide
        them.
    """

    index: StoredIndex
    rows: int | Int[np.ndarray, " N"] = 0
    half: int | None = None
    groups: Int[np.ndarray, " G"] | None = None

    def search(self, queries: Float[Array, "B D"], num_neighbors: int) -> Neighbors:
        """As the index does, in row numbers of the whole."""
        return renumber(self.index.search(queries, num_neighbors), self.rows)


@dataclass(frozen=True)
class ShardedIndex:
    """The nearest of the shards' answers.

    Attributes:
      shards: at least one; together they hold each row once.
    """

    shards: tuple[Shard, ...]

    @property
    def num_keys(self) -> int:
        return sum(shard.index.num_keys for shard in self.shards)

    @property
    def dim(self) -> int:
        return self.shards[0].index.dim

    def half(self, number: int) -> "ShardedIndex | None":
        """The shards of one half of the rows; None where there are none."""
        shards = tuple(shard for shard in self.shards if shard.half == number)
        return ShardedIndex(shards) if shards else None

    def shifted(self, by: int) -> "ShardedIndex":
        """Its rows have other numbers in the whole."""
        return ShardedIndex(tuple(replace(shard, rows=shard.rows + by) for shard in self.shards))

    def search(self, queries: Float[Array, "B D"], num_neighbors: int) -> Neighbors:
        """The `num_neighbors` nearest of the shards' answers, nearest first; host arrays.

        One shard after the other: each spreads its queries over all cores, and so reads every leaf
        once a core for the whole batch.

        Raises:
          ValueError: queries of another shape, or `num_neighbors` < 1.
          DataError: a query is not finite.
        """
        queries = as_queries(queries, self.dim)
        answers = (shard.search(queries, num_neighbors) for shard in self.shards)
        return nearest_of(answers, len(queries), num_neighbors)


def nearest_of(answers: Iterable[Neighbors], num_queries: int, num_neighbors: int) -> Neighbors:
    """The nearest of shards' answers of `num_neighbors` columns, holding one more at a time."""
    best: Neighbors | None = None
    for found in answers:
        best = merge([found] if best is None else [best, found], num_neighbors)
    return no_neighbors(num_queries, num_neighbors) if best is None else best


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
    rises = distances[:, 1:] > distances[:, :-1]
    if not rises.all():  # one answer comes sorted, but for ties
        mixed = ~rises.all(axis=1)
        order = np.lexsort((indices[mixed], distances[mixed]), axis=1)
        indices[mixed] = np.take_along_axis(indices[mixed], order, axis=1)
        distances[mixed] = np.take_along_axis(distances[mixed], order, axis=1)
    return Neighbors(indices[:, :num_neighbors], distances[:, :num_neighbors])
