"""The neighbors of every training position, found once, none from the position's own game."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.data import GoData
from retrieve_rl.go.index import GoIndex
from retrieve_rl.go.splits import second_half
from retrieve_rl.results import Run
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.precompute import precompute_neighbors

_SCALE_ROWS = 10_000


class TrainingNeighbors(NamedTuple):
    """What `training_neighbors` found.

    Attributes:
      found: memory-mapped [N, K]; row n is of `data.training_rows[n]`, indices are rows of the
        index.
      digest: of the artifact.
    """

    found: Neighbors
    digest: str


def training_neighbors(
    config: GoConfig, data: GoData, index: GoIndex, run: Run
) -> TrainingNeighbors:
    """Neighbors of every training position as it was played, by the rule of the config.

    "other_half": from the games of the half that does not hold it (Humphreys et al. 2022, section
    3.3). "hidden": from all games but its own. Resumable; what is there is opened; of several runs
    at once one finds them.
    """
    rule = config.retrieval.own_game
    out = _path(config, index)
    games = data.store.positions.games[data.training_rows]
    halves = second_half(data.store.games.digests)[games]
    with artifacts.lock(index.folder / "neighbors", wait_seconds=3600):
        found = precompute_neighbors(
            index.memory,
            index.keys,
            config.index.num_neighbors,
            out,
            not_from=games[:, None] if rule == "hidden" else None,
            second_half=halves if rule == "other_half" else None,
            queries_sha256=artifacts.read_manifest(index.folder / "keys").digest,
            reporter=run.reporter,
            stop=run.stop,
        )
    return TrainingNeighbors(found, artifacts.read_manifest(out).digest)


def distance_scale(neighbors: Neighbors) -> float:
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
    )
    name = "-".join(["neighbors", *map(str, parts)])
    return index.folder / name.replace("_", "-")
