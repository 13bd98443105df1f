"""From the encoder to a searchable index over the positions of training games."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl import artifacts
from retrieve_rl.config import digest
from retrieve_rl.errors import DataError
from retrieve_rl.go.asking import EncodeFn, TurnedNeighbors, ask
from retrieve_rl.go.config import RESULTS_VERSION, GoConfig
from retrieve_rl.go.data import GoData
from retrieve_rl.go.encoder import TrainedEncoder, features
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.splits import second_half
from retrieve_rl.locks import shared
from retrieve_rl.results import Run
from retrieve_rl.retrieval.build import IndexOptions, Report, build_memory
from retrieve_rl.retrieval.keys import FILE_NAME as KEYS_FILE
from retrieve_rl.retrieval.keys import KIND as KEYS_KIND
from retrieve_rl.retrieval.keys import encode_keys, open_keys
from retrieve_rl.retrieval.memory import Memory, open_memory, search
from retrieve_rl.retrieval.memory_files import report_of
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.pca import Pca, fit_pca, project
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.values import Column

_FEATURES_AT_ONCE = 4096
CHUNK_ROWS = 16_384
"""A few seconds of encoding on two cores, which a signal waits for."""


@dataclass(frozen=True)
class GoIndex:
    """The index of a config, open, and what its keys were made with.

    Attributes:
      memory: row n holds the position `data.retrieval_rows[n]`; groups are rows of games. Its two
        halves, of training positions alone, are those of `splits.second_half`.
      keys: of the training positions, memory-mapped.
      added_keys: of the positions that were added; no rows where none were.
      pca: from features to keys.
      report: how good the index is.
      folder: where projection, keys and index of the training positions lie.
    """

    memory: Memory
    keys: Float[np.ndarray, "N D"]
    added_keys: Float[np.ndarray, "A D"]
    pca: Pca
    report: Report
    folder: Path

    def take_keys(self, rows: Int[np.ndarray, "*B"]) -> Float[np.ndarray, "*B D"]:
        """The keys of some rows of the memory."""
        return Column((self.keys, self.added_keys)).take(rows)


def make_index(config: GoConfig, data: GoData, encoder: TrainedEncoder, run: Run) -> GoIndex:
    """Fits the projection, encodes the training positions, builds the index; or opens each.

    What was made from the same is kept, what was broken off goes on, and of several runs at once
    one makes it.

    Raises:
      ResourceError: memory or disk will not suffice.
      Interrupted: a signal came; run the same command again.
    """
    folder = _folder(config, encoder, run.root)
    with shared(folder, run.reporter, run.stop):
        return _make_index(config, data, encoder, run, folder)


def _make_index(
    config: GoConfig, data: GoData, encoder: TrainedEncoder, run: Run, folder: Path
) -> GoIndex:
    pca = _pca(config, data, encoder, folder / "pca", run)
    pca_digest = artifacts.read_manifest(folder / "pca").digest
    rows = data.training_rows
    path = encode_keys(
        lambda start, end: keys_of(config, data, encoder, pca, rows[start:end]),
        len(rows),
        config.keys.dim,
        folder / "keys",
        made_from={"encoder": encoder.digest, "pca": pca_digest},
        chunk_rows=CHUNK_ROWS,
        reporter=run.reporter,
        stop=run.stop,
    )
    keys = open_keys(path)
    positions = data.store.positions.take(rows)
    options = IndexOptions(config.index.kind, config.index.wanted_recall, config.index.reorder)
    out = memory_path(config, folder)
    values = {**positions._asdict(), "rows": rows}
    halves = second_half(data.store.games.digests)[positions.games]
    indexed = Rows(keys, values, positions.games, halves)
    report = build_memory(indexed, out, options, reporter=run.reporter, stop=run.stop)
    return GoIndex(open_memory(out), keys, keys[:0], pca, report, folder)


def open_index(config: GoConfig, encoder: TrainedEncoder, root: Path) -> GoIndex:
    """Opens what `make_index` has made.

    Raises:
      DataError: a part is missing, damaged, or made from another.
    """
    folder = _folder(config, encoder, root)
    pca = _open_pca(folder / "pca", encoder)
    manifest = artifacts.verify(folder / "keys", kind=KEYS_KIND)
    pca_digest = artifacts.read_manifest(folder / "pca").digest
    _check_made_from(folder / "keys", manifest, {"encoder": encoder.digest, "pca": pca_digest})
    memory = open_memory(memory_path(config, folder))
    report: Report = report_of(memory.manifest)
    keys = open_keys(folder / "keys" / KEYS_FILE)
    return GoIndex(memory, keys, keys[:0], pca, report, folder)


def keys_of(
    config: GoConfig,
    data: GoData,
    encoder: TrainedEncoder,
    pca: Pca,
    rows: Int[np.ndarray, " B"],
    symmetry: int = 0,
) -> Float[np.ndarray, "B D"]:
    """The keys of some positions of the store, turned by a symmetry."""
    parts = [np.zeros((0, config.keys.dim), np.float32)]
    for start in range(0, len(rows), _FEATURES_AT_ONCE):
        chosen = rows[start : start + _FEATURES_AT_ONCE]
        positions = data.store.positions.take(chosen)
        parts.append(_keys(config, encoder, pca, positions, data.komi(chosen), symmetry))
    return np.concatenate(parts)


def neighbors_of(
    config: GoConfig,
    data: GoData,
    encoder: TrainedEncoder,
    index: GoIndex,
    rows: Int[np.ndarray, " B"],
) -> TurnedNeighbors:
    """Neighbors of some positions, none from their own game; indices are rows of the store."""
    return _ask(
        config,
        data,
        index,
        lambda symmetry: keys_of(config, data, encoder, index.pca, rows, symmetry),
        hidden_games=data.store.positions.games[rows],
        num_neighbors=config.index.num_neighbors,
    )


def neighbors_of_positions(
    config: GoConfig,
    data: GoData,
    encoder: TrainedEncoder,
    index: GoIndex,
    positions: Positions,
    *,
    komi: Float[np.ndarray, " B"],
    hidden_games: Int[np.ndarray, " B"],
    num_neighbors: int,
) -> TurnedNeighbors:
    """Neighbors of at least one position that need not be in the store.

    Args:
      komi: of the positions' games.
      hidden_games: the game that each position must not hear of, NO_GROUP for none.

    Returns:
      Rows of the store.
    """
    return _ask(
        config,
        data,
        index,
        lambda symmetry: _keys(config, encoder, index.pca, positions, komi, symmetry),
        hidden_games=hidden_games,
        num_neighbors=num_neighbors,
    )


def in_store(data: GoData, neighbors: TurnedNeighbors) -> TurnedNeighbors:
    """The same neighbors, numbered as in the store instead of the index."""
    rows = data.retrieval_rows[np.maximum(neighbors.indices, 0)]
    return neighbors._replace(indices=np.where(neighbors.indices >= 0, rows, -1))


def _keys(
    config: GoConfig,
    encoder: TrainedEncoder,
    pca: Pca,
    positions: Positions,
    komi: Float[np.ndarray, " B"],
    symmetry: int,
) -> Float[np.ndarray, "B D"]:
    return project(pca, features(encoder, config.keys.layer, positions, komi, symmetry))


def _ask(
    config: GoConfig,
    data: GoData,
    index: GoIndex,
    encode: EncodeFn,
    *,
    hidden_games: Int[np.ndarray, " B"],
    num_neighbors: int,
) -> TurnedNeighbors:
    """Asks in the config's orientations; indices are rows of the store."""
    not_from = hidden_games[:, None]

    def found(queries: Float[np.ndarray, "B D"]) -> Neighbors:
        return search(index.memory, index.memory.index, queries, num_neighbors, not_from=not_from)

    return in_store(data, ask(encode, found, config.index.orientations, num_neighbors))


def _folder(config: GoConfig, encoder: TrainedEncoder, root: Path) -> Path:
    """Where projection, keys and indexes lie; shared by all runs that want the same keys."""
    key = {
        "encoder": encoder.digest,
        "keys": config.keys.model_dump(mode="json"),
        "seed": config.index.seed,
        "version": RESULTS_VERSION,
    }
    return root / "indexes" / digest(key)[:16]


def memory_path(config: GoConfig, folder: Path) -> Path:
    """Where the memory over the training positions lies in `GoIndex.folder`."""
    settings = config.index.model_dump(mode="json", include={"kind", "wanted_recall", "reorder"})
    return folder / f"index-{digest({**settings, 'halves': 2})[:8]}"


def _pca(config: GoConfig, data: GoData, encoder: TrainedEncoder, folder: Path, run: Run) -> Pca:
    """Fitted on positions of training games, drawn by the seed."""
    with shared(folder, run.reporter, run.stop):
        if not folder.exists():
            rng = np.random.default_rng([config.index.seed, 1])
            count = min(config.keys.pca_positions, len(data.training_rows))
            rows = np.sort(rng.choice(data.training_rows, count, replace=False))
            parts = (rows[i : i + _FEATURES_AT_ONCE] for i in range(0, count, _FEATURES_AT_ONCE))

            def features_of(part: Int[np.ndarray, " B"]) -> Float[np.ndarray, "B F"]:
                run.stop.raise_if_requested("nothing of the projection is kept: run again")
                positions = data.store.positions.take(part)
                return features(encoder, config.keys.layer, positions, data.komi(part))

            pca = fit_pca(map(features_of, parts), config.keys.dim)
            made_from = {"encoder": encoder.digest}
            with artifacts.create(folder, kind="pca", made_from=made_from) as building:
                artifacts.save_arrays(building / "pca.npz", pca._asdict())
    return _open_pca(folder, encoder)


def _open_pca(folder: Path, encoder: TrainedEncoder) -> Pca:
    manifest = artifacts.verify(folder, kind="pca")
    _check_made_from(folder, manifest, {"encoder": encoder.digest})
    return Pca(**artifacts.load_arrays(folder / "pca.npz"))


def _check_made_from(folder: Path, manifest: artifacts.Manifest, expected: dict[str, str]) -> None:
    """Raises DataError where the artifact was made from others than those beside it."""
    for name, digest_there in expected.items():
        found = manifest.made_from.get(name)
        if found != digest_there:
            raise DataError(
                f"{folder} was made from another {name} ({str(found)[:16]}) than the one here"
                f" ({digest_there[:16]}): delete it and run rrl build-index again"
            )
