"""A memory: an index and the values beside its keys, as one artifact on disk (`memory_files`)."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.keys import as_queries
from retrieve_rl.retrieval.memory_files import GROUPS, KIND, open_shard
from retrieve_rl.retrieval.neighbors import NO_GROUP, Neighbors
from retrieve_rl.retrieval.over_fetch import search_over_fetching
from retrieve_rl.retrieval.sharded import Shard, ShardedIndex, nearest_of, renumber
from retrieve_rl.retrieval.values import Column, open_columns
from retrieve_rl.types import Array


@dataclass(frozen=True)
class Memory:
    """Keys that can be searched, with what each one stands for.

    Attributes:
      index: over all rows.
      values: columns by name, a row per key.
      groups: the group of every row; None where none were given.
      manifest: of the artifact it was opened from.
    """

    index: ShardedIndex
    values: dict[str, Column]
    groups: Column | None
    manifest: artifacts.Manifest

    def half(self, number: int) -> ShardedIndex:
        """The index over the rows of one half. Raises DataError where there are no halves."""
        found = self.index.half(number)
        if found is None:
            raise DataError(f"the memory has no half {number}: build it with halves")
        return found


def open_memory(path: Path | str) -> Memory:
    """Verifies every byte at `path`, then opens it; keys of an exact index are read into memory.

    Raises:
      DataError: not a memory, or changed since it was written.
    """
    path = Path(path)
    manifest = artifacts.verify(path, kind=KIND)
    facts = manifest.metadata
    segments = [f"{number:05d}" for number in range(facts["num_segments"])]
    columns = open_columns([path / GROUPS / name for name in segments if facts["has_groups"]])
    groups = columns.get(GROUPS)
    shards = tuple(
        open_shard(path / "shards" / f"{number:05d}", shard, facts["dim"], groups)
        for number, shard in enumerate(facts["shards"])
    )
    return Memory(
        index=ShardedIndex(shards),
        values=open_columns([path / "values" / name for name in segments]),
        groups=groups,
        manifest=manifest,
    )


def retrieve(
    memory: Memory,
    queries: Float[Array, "B D"],
    num_neighbors: int,
    *,
    not_from: Int[Array, "B G"] | None = None,
) -> tuple[Neighbors, dict[str, np.ndarray]]:
    """The neighbors of each query, and their rows [B, K, ...] of every column of values.

    A row whose group is listed in a query's row of `not_from` is never its neighbor; more are
    fetched until `num_neighbors` of other groups are found or there are no more. -1 and zeros where
    there is no neighbor.

    Raises:
      ValueError: queries of another shape, not a row of `not_from` for each, or `num_neighbors` is
        less than 1.
      DataError: a query is not finite; `not_from` is given and the memory has no groups.
    """
    neighbors = search(memory, memory.index, queries, num_neighbors, not_from=not_from)
    indices = np.asarray(neighbors.indices)
    return neighbors, {name: column.take(indices) for name, column in memory.values.items()}


def search(
    memory: Memory,
    index: ShardedIndex,
    queries: Float[Array, "B D"],
    num_neighbors: int,
    *,
    not_from: Int[Array, "B G"] | None = None,
) -> Neighbors:
    """As `retrieve`, without the values, in `index`: the memory's own, or one of its halves."""
    if num_neighbors < 1:
        raise ValueError(f"num_neighbors must be at least 1, found {num_neighbors}")
    if not_from is None:
        return index.search(queries, num_neighbors)
    if memory.groups is None:
        raise DataError("the memory has no groups to hide: build it with the groups of its rows")
    queries, not_from = as_queries(queries, index.dim), np.asarray(not_from, np.int64)
    if not_from.ndim != 2 or len(not_from) != len(queries):
        raise ValueError(f"not_from has shape {not_from.shape}; expected [{len(queries)}, G]")
    hiding = [shard for shard in index.shards if shard.groups is not None]
    others = tuple(shard for shard in index.shards if shard.groups is None)
    answers = [_hiding(shard, queries, num_neighbors, not_from) for shard in hiding]
    if others:
        rest = replace(index, shards=others)
        groups_of = memory.groups.take
        answers.append(
            search_over_fetching(rest, rest.num_keys, groups_of, queries, num_neighbors, not_from)
        )
    return nearest_of(answers, len(queries), num_neighbors)


def _hiding(
    shard: Shard,
    queries: Float[np.ndarray, "B D"],
    num_neighbors: int,
    not_from: Int[np.ndarray, "B G"],
) -> Neighbors:
    """The answer of an exact shard, whose search leaves the groups out."""
    assert isinstance(shard.index, ExactIndex) and shard.groups is not None
    places = np.searchsorted(shard.groups, not_from).clip(max=len(shard.groups) - 1)
    hidden = np.where(shard.groups[places] == not_from, places, NO_GROUP).astype(np.int32)
    return renumber(shard.index.search(queries, num_neighbors, not_from=hidden), shard.rows)
