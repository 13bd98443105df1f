"""Building a ScaNN index over keys that need not fit into memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from retrieve_rl import artifacts
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.keys import Extent
from retrieve_rl.retrieval.leaves import ROWS_AT_ONCE
from retrieve_rl.retrieval.pieces import Piece
from retrieve_rl.retrieval.row_files import fill_rows
from retrieve_rl.retrieval.scann_codes import code, columns
from retrieve_rl.retrieval.scann_config import Reorder, learned_from, parameters_for
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.retrieval.scann_learning import LEARNED_FILES, learn
from retrieve_rl.signals import StopRequest

_SAMPLE, _SAMPLE_BYTES, _CHUNK_BYTES = 1_000_000, 2**30, 2**28
"""Keys to learn from, at most, and bytes of them and of the keys that are coded at once."""


def build_scann(
    piece: Piece,
    extent: Extent,
    reorder: Reorder,
    folder: Path,
    *,
    codes: Path,
    made_from: Mapping[str, str],
    reporter: Reporter,
    stop: StopRequest,
) -> tuple[ScannIndex, dict[str, Any]]:
    """Writes the files of an index over the piece into the empty `folder`, and opens it.

    ScaNN learns leaves and codewords from a sample; then the keys are coded chunk after chunk into
    the artifact `codes`, and a build that was broken off goes on after its last chunk. Few keys
    have neither. `made_from` names the keys, `extent` is of all of them. On one machine, two builds
    of the same keys write the same bytes.

    Returns the index, and the manifest entries of the files that came from `codes`.

    Raises:
      Interrupted: a signal asked to stop; the chunks so far are kept.
    """
    dim = piece.keys.shape[1]
    sample = piece.sample(min(_SAMPLE, _SAMPLE_BYTES // (4 * dim)))
    # Column by column, for NumPy makes a matrix of float64 of all.
    variances = np.array([np.var(column, dtype=np.float64) for column in sample.T])
    parameters = parameters_for(len(piece), variances, reorder)
    if not parameters.num_leaves:
        index = ScannIndex.without_tree(sample, parameters)
        index.save(folder)
        return index, {}
    some = _some_of(sample, learned_from(parameters.num_leaves))
    learned = learn(some, parameters, folder, extent=extent)
    del sample, some
    digests = {name: artifacts.sha256_of(folder / name) for name in LEARNED_FILES}
    fill_rows(
        codes,
        columns(parameters, dim),
        len(piece),
        lambda start, end: code(learned, piece.take(start, end), parameters),
        kind="scann-codes",
        made_from={**made_from, **digests},
        chunk_rows=max(ROWS_AT_ONCE, _CHUNK_BYTES // (4 * dim)),
        title="coding keys",
        reporter=reporter,
        stop=stop,
    )
    manifest = artifacts.read_manifest(codes)
    for name in manifest.files:
        (folder / name).unlink()  # of the sample
    linked = artifacts.link_files(codes, manifest, folder)
    return ScannIndex.load(folder, parameters, len(piece), dim), linked


def _some_of(sample: Float[np.ndarray, "S D"], count: int) -> Float[np.ndarray, "C D"]:
    """Rows drawn one by one: those of a run are alike."""
    if count >= len(sample):
        return sample
    return sample[np.sort(np.random.default_rng(0).choice(len(sample), count, replace=False))]
