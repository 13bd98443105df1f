"""The neighbors of every training position, found once, none from the position's own game."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from retrieve_rl import artifacts
from retrieve_rl.go.asking import TurnedNeighbors, ask
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.data import GoData
from retrieve_rl.go.encoder import TrainedEncoder
from retrieve_rl.go.index import CHUNK_ROWS, GoIndex, keys_of
from retrieve_rl.go.splits import second_half
from retrieve_rl.locks import shared
from retrieve_rl.results import Run
from retrieve_rl.retrieval.precompute import digest_of_rule, find_others, precompute_neighbors
from retrieve_rl.retrieval.row_files import RowType, fill_rows

_SCALE_ROWS = 10_000
_TURNED_KIND = "turned-neighbors"
_TURNED_COLUMNS: dict[str, type[np.number]] = {
    "indices": np.int32,
    "distances": np.float32,
    "symmetries": np.int8,
}


class TrainingNeighbors(NamedTuple):
    """What `training_neighbors` found.

    Attributes:
      found: memory-mapped [N, K]; row n is of `data.training_rows[n]`, indices are rows of the
        index.
      digest: of the artifact.
    """

    found: TurnedNeighbors
    digest: str


def training_neighbors(
    config: GoConfig, data: GoData, encoder: TrainedEncoder, index: GoIndex, run: Run
) -> TrainingNeighbors:
    """Neighbors of every training position, by the rule and in the orientations of the config.

    "other_half": from the games of the half that does not hold it (Humphreys et al. 2022, section
    3.3). "hidden": from all games but its own. Resumable; what is there is opened; of several runs
    at once one finds them.
    """
    games = data.store.positions.games[data.training_rows]
    rule: dict[str, Any] = {"not_from": games[:, None]}
    if config.retrieval.own_game == "other_half":
        rule = {"second_half": second_half(data.store.games.digests)[games]}
    find = _as_played if config.retrieval.orientations == 1 else _in_all_orientations
    with shared(index.folder / "neighbors", run.reporter, run.stop):
        return find(config, data, encoder, index, rule, run)


def _as_played(
    config: GoConfig,
    data: GoData,
    encoder: TrainedEncoder,
    index: GoIndex,
    rule: dict[str, Any],
    run: Run,
) -> TrainingNeighbors:
    del data, encoder
    out = _path(config, index)
    found = precompute_neighbors(
        index.memory,
        index.keys,
        config.index.num_neighbors,
        out,
        **rule,
        queries_sha256=artifacts.read_manifest(index.folder / "keys").digest,
        reporter=run.reporter,
        stop=run.stop,
    )
    unturned = np.broadcast_to(np.int8(0), found.indices.shape)
    return TrainingNeighbors(TurnedNeighbors(*found, unturned), artifacts.read_manifest(out).digest)


def _in_all_orientations(
    config: GoConfig,
    data: GoData,
    encoder: TrainedEncoder,
    index: GoIndex,
    rule: dict[str, Any],
    run: Run,
) -> TrainingNeighbors:
    out, count = _path(config, index), config.index.num_neighbors
    find = find_others(index.memory, count, **rule)

    def compute(start: int, end: int) -> dict[str, np.ndarray]:
        rows = data.training_rows[start:end]

        def encode(symmetry: int) -> Float[np.ndarray, "B D"]:
            if symmetry == 0:
                return np.asarray(index.keys[start:end])
            return keys_of(config, data, encoder, index.pca, rows, symmetry)

        orientations = config.retrieval.orientations
        return ask(encode, lambda keys: find(keys, start, end), orientations, count)._asdict()

    fill_rows(
        out,
        {name: RowType(dtype, (count,)) for name, dtype in _TURNED_COLUMNS.items()},
        len(data.training_rows),
        compute,
        kind=_TURNED_KIND,
        made_from={
            "index": index.memory.manifest.digest,
            "keys": artifacts.read_manifest(index.folder / "keys").digest,
            "rule": digest_of_rule(**{"not_from": None, "second_half": None, **rule}),
        },
        chunk_rows=CHUNK_ROWS,
        title="finding neighbors in all orientations",
        reporter=run.reporter,
        stop=run.stop,
    )
    manifest = artifacts.verify(out, kind=_TURNED_KIND)
    columns = (np.load(out / f"{name}.npy", mmap_mode="r") for name in _TURNED_COLUMNS)
    return TrainingNeighbors(TurnedNeighbors(*columns), manifest.digest)


def distance_scale(neighbors: TurnedNeighbors) -> float:
    """The unit of closeness: the median distance of the nearest neighbor, where it is not 0.

    Over rows spread evenly, so that not all are read; 1 where there is no such row.
    """
    nearest = neighbors.distances[:: max(1, len(neighbors.distances) // _SCALE_ROWS), 0]
    finite = nearest[np.isfinite(nearest) & (nearest > 0.0)]
    return float(np.median(finite)) if len(finite) else 1.0


def _path(config: GoConfig, index: GoIndex) -> Path:
    parts = (
        index.memory.manifest.digest[:8],
        config.index.num_neighbors,
        config.retrieval.own_game,
        *(["turned"] if config.retrieval.orientations > 1 else []),
    )
    name = "-".join(["neighbors", *map(str, parts)])
    return index.folder / name.replace("_", "-")
