"""Building shards one after the other in bounded memory; a build that was broken off goes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.index import Kind, StoredIndex
from retrieve_rl.retrieval.keys import Extent
from retrieve_rl.retrieval.memory_files import ROWS_NAME, describe_shard, open_shard
from retrieve_rl.retrieval.pieces import Piece, cut, survey
from retrieve_rl.retrieval.recall import RecallTest
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_build import build_scann
from retrieve_rl.retrieval.scann_config import Reorder
from retrieve_rl.retrieval.sharded import Shard, ShardedIndex
from retrieve_rl.signals import StopRequest

KIND = "index-shard"


@dataclass(frozen=True)
class Built:
    """What a build gives.

    Attributes:
      index: over all shards, opened.
      folders: where they lie, each an artifact.
      test: the recall test, with its truth.
      keys_digest: of all keys.
    """

    index: ShardedIndex
    folders: list[Path]
    test: RecallTest
    keys_digest: str


@dataclass(frozen=True)
class ShardBuilds:
    """How the shards of one build are made.

    Attributes:
      folder: where what is finished waits.
      kind: of index.
      reorder: for ScaNN.
      shard_rows: rows of a shard, at most; None: all make one.
      first_row: number of the first row in the whole.
    """

    folder: Path
    kind: Kind
    reorder: Reorder
    shard_rows: int | None
    first_row: int = 0

    def run(self, rows: Rows, reporter: Reporter, stop: StopRequest) -> Built:
        """Builds what is not there yet, and opens all.

        Raises:
          DataError: a key is not finite.
          Interrupted: a signal asked to stop; the shards so far are kept.
        """
        # Exact search finds the same share of whatever it is asked for.
        test, digest, extent = survey(Rows(rows.keys) if self.kind == "exact" else rows, stop)
        halves = {} if rows.second_half is None else {"second_half": rows.second_half}
        made_from = {"keys": digest, "halves": artifacts.sha256_of_arrays(halves)}
        pieces = cut(rows, self.shard_rows or len(rows.keys))
        folders = [self.folder / f"{number:05d}" for number in range(len(pieces))]
        shards = []
        for number, (piece, folder) in enumerate(zip(pieces, folders, strict=True)):
            stop.raise_if_requested(
                f"{number} of {len(pieces)} shards are kept: run again to go on"
            )
            asked = f"{number} of {len(pieces)} {self.kind} {self.reorder} from {self.first_row}"
            of_shard = {**made_from, "shard": asked}
            shard = self._opened(folder, of_shard, rows.keys.shape[1])
            if shard is None:
                reporter.say(f"building shard {number + 1} of {len(pieces)}")
                shard = self._build(piece, extent, folder, of_shard, reporter, stop)
            shards.append(shard)
        return Built(ShardedIndex(tuple(shards)), folders, test, digest)

    def _opened(self, folder: Path, made_from: dict[str, str], dim: int) -> Shard | None:
        """The whole shard of this very build in `folder`, if it is there."""
        if not folder.exists():
            return None
        try:
            manifest = artifacts.verify(folder, kind=KIND)
        except DataError:
            return None
        if manifest.made_from != made_from:
            return None
        return open_shard(folder, manifest.metadata, dim)

    def _build(
        self,
        piece: Piece,
        extent: Extent,
        folder: Path,
        made_from: dict[str, str],
        reporter: Reporter,
        stop: StopRequest,
    ) -> Shard:
        facts: dict[str, Any] = {}
        linked: dict[str, Any] = {}
        created = artifacts.create(
            folder, kind=KIND, made_from=made_from, metadata=facts, described=linked
        )
        with created as building:
            files = building / "index"
            files.mkdir()
            index: StoredIndex
            if self.kind == "exact":
                index = ExactIndex.build(piece.take(0, len(piece)))
                index.save(files)
            else:
                index, entries = build_scann(
                    piece,
                    extent,
                    self.reorder,
                    files,
                    codes=folder.with_name(f"{folder.name}-codes"),
                    made_from=made_from,
                    reporter=reporter,
                    stop=stop,
                )
                linked |= {f"index/{name}": entry for name, entry in entries.items()}
            shard = Shard(index, piece.rows_from(self.first_row), piece.half)
            if not isinstance(shard.rows, int):
                np.save(building / ROWS_NAME, shard.rows, allow_pickle=False)
            facts |= describe_shard(shard)
        return shard
