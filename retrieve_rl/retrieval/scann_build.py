"""Building a ScaNN index over keys that need not fit into memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.pieces import Piece
from retrieve_rl.retrieval.row_files import fill_rows
from retrieve_rl.retrieval.scann_codes import LEARNED_FILES, code, columns, read_learned
from retrieve_rl.retrieval.scann_config import Reorder, parameters_for
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.signals import StopRequest

LEARNED_FROM = 1_000_000
"""Keys that ScaNN sees at most: of more, a sample of so many."""
_CHUNK_ROWS = 262_144


def build_scann(
    piece: Piece,
    reorder: Reorder,
    folder: Path,
    *,
    codes: Path,
    made_from: Mapping[str, str],
    reporter: Reporter,
    stop: StopRequest,
) -> tuple[ScannIndex, dict[str, Any]]:
    """Writes the files of an index over the piece into the empty `folder`, and opens it.

    Up to LEARNED_FROM keys ScaNN builds from. Of more it learns leaves and codewords from a sample;
    then the keys are coded chunk after chunk into the artifact `codes`, and a build that was broken
    off goes on after its last chunk. `made_from` names the keys.

    Returns the index, and the manifest entries of the files that came from `codes`.

    Raises:
      Interrupted: a signal asked to stop; the chunks so far are kept.
    """
    sample = piece.sample(LEARNED_FROM)
    variances = np.var(sample, axis=0, dtype=np.float64)
    parameters = parameters_for(len(piece), variances, reorder)
    index = ScannIndex.build(sample, parameters)
    index.save(folder)
    if len(sample) == len(piece):
        return index, {}
    dim = sample.shape[1]
    del index, sample
    learned = read_learned(folder, parameters, dim)
    digests = {name: artifacts.sha256_of(folder / name) for name in LEARNED_FILES}
    fill_rows(
        codes,
        columns(parameters, dim),
        len(piece),
        lambda start, end: code(learned, piece.take(start, end), reorder),
        kind="scann-codes",
        made_from={**made_from, **digests},
        chunk_rows=_CHUNK_ROWS,
        title="coding keys",
        reporter=reporter,
        stop=stop,
    )
    manifest = artifacts.read_manifest(codes)
    for name in manifest.files:
        (folder / name).unlink()
    linked = artifacts.link_files(codes, manifest, folder)
    return ScannIndex.load(folder, parameters, len(piece), dim), linked
