"""Building shards one after the other in bounded memory; a build that was broken off goes on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.cells import Cell, Prepared, by_location, in_pieces
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.index import Kind, StoredIndex
from retrieve_rl.retrieval.memory_files import describe_shard, open_shard, save_shard
from retrieve_rl.retrieval.quality import RecallTest
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_config import Reorder, parameters_for
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.retrieval.sharded import Shard, ShardedIndex
from retrieve_rl.signals import StopRequest

KIND = "index-shard"
# Rows from which the variances of the dimensions are estimated.
_VARIANCE_SAMPLE = 65_536


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
      shard_rows: rows of a shard, at most.
      first_row: number of the first row in the whole.
    """

    folder: Path
    kind: Kind
    reorder: Reorder
    shard_rows: int
    first_row: int = 0

    def run(self, rows: Rows, reporter: Reporter, stop: StopRequest) -> Built:
        """Builds what is not there yet, and opens all.

        Raises:
          DataError: a key is not finite.
          Interrupted: a signal asked to stop; the shards so far are kept.
        """
        prepared = self._prepare(rows, reporter, stop)
        cells = prepared.cells
        folders = [self.folder / f"{number:05d}" for number in range(len(cells))]
        with reporter.track("building shards", len(cells)) as advance:
            for number, (cell, folder) in enumerate(zip(cells, folders, strict=True)):
                stop.raise_if_requested(
                    f"{number} of {len(cells)} shards are kept: run again to go on"
                )
                made_from = {**prepared.made_from, "shard": self._shard_options(number)}
                if not _is_built(folder, made_from):
                    self._build(cell, folder, made_from)
                advance(number + 1)
        facts = [artifacts.read_manifest(folder).metadata for folder in folders]
        shards = (
            open_shard(folder, shard, rows.keys.shape[1])
            for folder, shard in zip(folders, facts, strict=True)
        )
        return Built(ShardedIndex(tuple(shards)), folders, prepared.test, prepared.digest)

    def _prepare(self, rows: Rows, reporter: Reporter, stop: StopRequest) -> Prepared:
        if self.kind == "exact" or len(rows.keys) <= self.shard_rows:
            return in_pieces(rows, self.shard_rows)
        return by_location(rows, self.folder / "cells", self.shard_rows, reporter, stop)

    def _build(self, cell: Cell, folder: Path, made_from: dict[str, str]) -> None:
        index: StoredIndex
        if self.kind == "exact":
            index = ExactIndex.build(cell.keys)
        else:
            sample = cell.keys[:: max(1, len(cell.keys) // _VARIANCE_SAMPLE)]
            variances = np.var(sample, axis=0, dtype=np.float64)
            parameters = parameters_for(len(cell.keys), variances, self.reorder)
            index = ScannIndex.build(cell.keys, parameters)
        shard = Shard(index, cell.rows + self.first_row, cell.half, cell.center)
        created = artifacts.create(
            folder, kind=KIND, made_from=made_from, metadata=describe_shard(shard)
        )
        with created as building:
            save_shard(building, shard)

    def _shard_options(self, number: int) -> str:
        return f"{number} {self.kind} {self.reorder} from {self.first_row}"


def _is_built(folder: Path, made_from: dict[str, str]) -> bool:
    """Whether the whole shard of this very build lies in `folder`."""
    if not folder.exists():
        return False
    try:
        return artifacts.verify(folder, kind=KIND).made_from == made_from
    except DataError:
        return False
