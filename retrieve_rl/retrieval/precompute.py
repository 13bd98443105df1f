"""The neighbors of a whole training set, found once and read from disk ever after."""

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

    Two rules keep a query from its own group: `not_from` hides the groups listed for each query
    (more are fetched and filtered); `second_half` says which half each query belongs to and lets
    it ask the other one (Humphreys et al. 2022, section 3.3).

    Raises:
      UsageError: both rules or neither are given.
      DataError: the memory has no groups, or no halves, for the rule.
    """
    if (not_from is None) == (second_half is None):
        raise UsageError("give either not_from or second_half: one rule keeps a query from its own")
    halves = (memory.half(0), memory.half(1)) if second_half is not None else None

    def compute(start: int, end: int) -> dict[str, np.ndarray]:
        asked = np.asarray(queries[start:end])
        if halves is not None and second_half is not None:
            found = _from_other_half(halves, asked, second_half[start:end], num_neighbors)
        elif not_from is not None:
            hidden = not_from[start:end]
            found = search(memory, memory.index, asked, num_neighbors, not_from=hidden)
        return {"indices": np.asarray(found.indices), "distances": np.asarray(found.distances)}

    rule = {"not_from": not_from} if second_half is None else {"second_half": second_half}
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
            "rule": artifacts.sha256_of_arrays(rule),  # type: ignore[arg-type]
        },
        chunk_rows=_BATCH_ROWS,
        title="finding neighbors",
        reporter=reporter,
        stop=stop,
    )
    return open_neighbors(out)


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
