"""Building a ScaNN index over keys that need not fit into memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from retrieve_rl import artifacts
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.pieces import Piece
from retrieve_rl.retrieval.row_files import fill_rows
from retrieve_rl.retrieval.scann_codes import code, columns
from retrieve_rl.retrieval.scann_config import Reorder, learned_from, parameters_for
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.retrieval.scann_learning import LEARNED_FILES, learn
from retrieve_rl.signals import StopRequest

_SAMPLE, _CHUNK_ROWS = 1_000_000, 1_048_576


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

    ScaNN learns leaves and codewords from a sample; then the keys are coded chunk after chunk into
    the artifact `codes`, and a build that was broken off goes on after its last chunk. Few keys
    have neither. `made_from` names the keys. Two builds of the same keys write the same bytes.

    Returns the index, and the manifest entries of the files that came from `codes`.

    Raises:
      Interrupted: a signal asked to stop; the chunks so far are kept.
    """
    sample = piece.sample(_SAMPLE)
    parameters = parameters_for(len(piece), np.var(sample, axis=0, dtype=np.float64), reorder)
    if not parameters.num_leaves:
        index = ScannIndex.without_tree(sample, parameters)
        index.save(folder)
        return index, {}
    dim = sample.shape[1]
    learned = learn(_some_of(sample, learned_from(parameters.num_leaves)), parameters, folder)
    del sample
    digests = {name: artifacts.sha256_of(folder / name) for name in LEARNED_FILES}
    fill_rows(
        codes,
        columns(parameters, dim),
        len(piece),
        lambda start, end: code(learned, piece.take(start, end), parameters),
        kind="scann-codes",
        made_from={**made_from, **digests},
        chunk_rows=_CHUNK_ROWS,
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
