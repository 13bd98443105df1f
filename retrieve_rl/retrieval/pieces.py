"""The rows of every shard, and the one pass in which all keys are looked over."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.keys import Extent, chunks, extent_of, read_at_random
from retrieve_rl.retrieval.recall import RecallTest
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.signals import UNASKED, StopRequest

# A disk reads a row no faster than its neighborhood.
_RUN_ROWS = 256


@dataclass(frozen=True)
class Piece:
    """Rows that make a shard.

    Attributes:
      keys: of all rows, in memory or memory-mapped.
      members: numbers of the piece's own rows, rising.
      half: of its rows, where there are two.
    """

    keys: Float[np.ndarray, "N D"]
    members: range | Int[np.ndarray, " R"]
    half: int | None

    def __len__(self) -> int:
        return len(self.members)

    def take(self, start: int, stop: int) -> Float[np.ndarray, "R D"]:
        """The keys of some of its rows, counted within the piece."""
        members = self.members[start:stop]
        if isinstance(members, range):
            return self.keys[members.start : members.stop]
        return self.keys[members]

    def sample(self, count: int) -> Float[np.ndarray, "S D"]:
        """At most `count` of its keys, in short runs spread evenly; all where there are no more."""
        if count >= len(self):
            return self.take(0, len(self))
        run = min(_RUN_ROWS, count)
        starts = np.linspace(0, len(self) - run, count // run).astype(np.int64)
        with read_at_random(self.keys):
            return np.concatenate([self.take(start, start + run) for start in starts.tolist()])

    def rows_from(self, first_row: int) -> int | Int[np.ndarray, " R"]:
        """Its row numbers where the keys' first row has that number; see `sharded.Shard.rows`."""
        if isinstance(self.members, range):
            return first_row + self.members.start
        return self.members + np.int32(first_row)


class Survey(NamedTuple):
    """What one pass over all keys tells.

    Attributes:
      test: the recall test, with its truth.
      digest: of the keys' shape and bytes.
      extent: of all keys.
    """

    test: RecallTest
    digest: str
    extent: Extent


def survey(rows: Rows, stop: StopRequest = UNASKED) -> Survey:
    """Reads every key once.

    Raises:
      DataError: one is not finite.
      Interrupted: a signal asked to stop.
    """
    test, digest = RecallTest.draw(rows), _new_digest(rows.keys)
    extents = []
    for start, chunk in chunks(rows.keys):
        stop.raise_if_requested("no key was indexed yet: run again")
        chunk = np.ascontiguousarray(chunk)
        extents.append(extent_of(chunk, "the key matrix", first_row=start))
        digest.update(chunk.data)
        test = test.seeing(chunk, start)
    lows, highs = zip(*extents, strict=True)
    extent = Extent(np.min(lows, axis=0), np.max(highs, axis=0))
    return Survey(test, digest.hexdigest(), extent)


def digest_of(keys: Float[np.ndarray, "N D"]) -> str:
    """The digest in `Survey`, without the rest."""
    digest = _new_digest(keys)
    for _, chunk in chunks(keys):
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest()


def cut(rows: Rows, shard_rows: int) -> list[Piece]:
    """Pieces of consecutive rows (of each half), of at most `shard_rows` and nearly equal size."""
    pieces = []
    for half, members in _halves(rows):
        count = -(-len(members) // shard_rows)
        borders = [len(members) * piece // count for piece in range(count + 1)]
        pieces += [Piece(rows.keys, members[low:high], half) for low, high in pairwise(borders)]
    return pieces


def _halves(rows: Rows) -> list[tuple[int | None, range | np.ndarray]]:
    if rows.second_half is None:
        return [(None, range(len(rows.keys)))]
    return [
        (half, np.flatnonzero(rows.second_half == bool(half)).astype(np.int32)) for half in (0, 1)
    ]


def _new_digest(keys: np.ndarray) -> Any:
    return hashlib.sha256(repr(keys.shape).encode())
