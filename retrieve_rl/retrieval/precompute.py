"""The neighbors of a whole training set, found once and read from disk ever after."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from retrieve_rl import artifacts
from retrieve_rl.errors import UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.memory import Memory, search
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.row_files import RowType, fill_rows
from retrieve_rl.retrieval.sharded import ShardedIndex
from retrieve_rl.signals import StopRequest

FindFn = Callable[[Float[np.ndarray, "B D"], int, int], Neighbors]
"""(queries of the rows `start` to `end` of the training set, start, end) -> their neighbors."""

KIND = "neighbors"
_BATCH_ROWS = 16_384


def precompute_neighbors(
    memory: Memory,
    queries: Float[np.ndarray, "N D"],
    num_neighbors: int,
    out: Path,
    *,
    not_from: Int[np.ndarray, "N G"] | None = None,
    second_half: Bool[np.ndarray, " N"] | None = None,
    queries_sha256: str,
    reporter: Reporter,
    stop: StopRequest,
) -> Neighbors:
    """Neighbors of every query as the artifact `out`, memory-mapped [N, K]; resumable.

    The rule that keeps a query from its own group, and what it raises: see `find_others`.
    """
    find = find_others(memory, num_neighbors, not_from=not_from, second_half=second_half)

    def compute(start: int, end: int) -> dict[str, np.ndarray]:
        found = find(np.asarray(queries[start:end]), start, end)
        return {"indices": np.asarray(found.indices), "distances": np.asarray(found.distances)}

    fill_rows(
        out,
        {
            "indices": RowType(np.int32, (num_neighbors,)),
            "distances": RowType(np.float32, (num_neighbors,)),
        },
        len(queries),
        compute,
        kind=KIND,
        made_from={
            "index": memory.manifest.digest,
            "queries": queries_sha256,
            "rule": digest_of_rule(not_from=not_from, second_half=second_half),
        },
        chunk_rows=_BATCH_ROWS,
        title="finding neighbors",
        reporter=reporter,
        stop=stop,
    )
    return open_neighbors(out)


def find_others(
    memory: Memory,
    num_neighbors: int,
    *,
    not_from: Int[np.ndarray, "N G"] | None = None,
    second_half: Bool[np.ndarray, " N"] | None = None,
) -> FindFn:
    """A search for the rows of a training set that keeps each from its own group, by one of two
    rules: `not_from` hides the groups listed for each row (more are fetched and filtered);
    `second_half` says which half each row belongs to and lets it ask the other one (Humphreys et
    al. 2022, section 3.3).

    Raises:
      UsageError: both rules or neither are given.
      DataError: the memory has no groups, or no halves, for the rule.
    """
    if (not_from is None) == (second_half is None):
        raise UsageError("give either not_from or second_half: one rule keeps a query from its own")
    halves = (memory.half(0), memory.half(1)) if second_half is not None else None

    def find(queries: Float[np.ndarray, "B D"], start: int, end: int) -> Neighbors:
        if halves is not None and second_half is not None:
            return _from_other_half(halves, queries, second_half[start:end], num_neighbors)
        assert not_from is not None
        hidden = not_from[start:end]
        return search(memory, memory.index, queries, num_neighbors, not_from=hidden)

    return find


def digest_of_rule(
    *, not_from: Int[np.ndarray, "N G"] | None, second_half: Bool[np.ndarray, " N"] | None
) -> str:
    """Names the rule in what is made by it."""
    rule = {"not_from": not_from, "second_half": second_half}
    return artifacts.sha256_of_arrays({k: v for k, v in rule.items() if v is not None})


def open_neighbors(path: Path) -> Neighbors:
    """The memory-mapped neighbors at `path`, verified. Raises DataError."""
    artifacts.verify(path, kind=KIND)
    return Neighbors(
        *(np.load(path / f"{name}.npy", mmap_mode="r") for name in ("indices", "distances"))
    )


def _from_other_half(
    halves: tuple[ShardedIndex, ShardedIndex],
    queries: Float[np.ndarray, "B D"],
    second_half: Bool[np.ndarray, " B"],
    num_neighbors: int,
) -> Neighbors:
    indices = np.full((len(queries), num_neighbors), -1, np.int32)
    distances = np.full((len(queries), num_neighbors), np.inf, np.float32)
    for half, other in ((False, halves[1]), (True, halves[0])):
        members = second_half == half
        if members.any():
            found = other.search(queries[members], num_neighbors)
            indices[members], distances[members] = found
    return Neighbors(indices, distances)
