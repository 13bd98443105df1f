"""Adding games to a retrieval set: no training, a new version, and how near it has come."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from retrieve_rl.go.additions import Additions
from retrieve_rl.go.built import Built, open_built
from retrieve_rl.go.config import (
    DEFAULT_ARM,
    RESULTS_VERSION,
    GoConfig,
    index_config,
    index_config_hash,
)
from retrieve_rl.go.set_distances import nearest_distances
from retrieve_rl.go.splits import ADDED, TEST
from retrieve_rl.go.versions import added_store, grow, open_version, version_digest
from retrieve_rl.results import Run, RunResult, machine, read_result
from retrieve_rl.retrieval.quality import quantiles


def determined_by(asked: Additions, built_run: Path, to: Path | None) -> dict[str, str]:
    """What decides the numbers of `add_games` beside the config.

    Args:
      built_run: folder of the config's finished build-index run.
      to: the version that grows; None for the index of that run.

    Raises:
      DataError: one of them cannot be read.
    """
    own = (read_result(built_run).retrieval or {}).get("sha256", "")
    return {
        "parent": own if to is None else version_digest(to),
        "records": asked.sha256,
        "positions": "all" if asked.positions is None else str(asked.positions),
    }


def add_games(config: GoConfig, run: Run, *, asked: Additions, to: Path | None) -> RunResult:
    """Entry point of `rrl build-index --task --add`: the version lies in the run's folder.

    Args:
      to: folder of the version that grows; None for the config's own index.

    Raises:
      DataError: that index is not there, or no game is left to add.
    """
    began = time.perf_counter()
    timings: dict[str, float] = {}

    def finished(stage: str) -> None:
        timings[f"{stage}_seconds"] = time.perf_counter() - began - sum(timings.values())

    built = open_built(config, run.root)
    parent = built if to is None else open_version(config, built, to)
    finished("open")
    grown = grow(config, built, parent, asked, run)
    finished("add")
    run.reporter.say("measuring distances before and after")
    distances = judge_versions(config, parent, grown, run)
    finished("report")
    added = _added_facts(asked, grown)
    old, new = (version.index.memory for version in (parent, grown))
    return RunResult(
        command="build-index",
        status="ok",
        task=config.task,
        arm=DEFAULT_ARM,
        preset=config.preset,
        seed=config.seed,
        results_version=RESULTS_VERSION,
        config_hash=index_config_hash(config),
        config=index_config(config),
        inputs={**built.data.facts, "added": added},
        retrieval={
            "index": grown.index.report,
            "sha256": new.manifest.digest,
            "parent_sha256": old.manifest.digest,
            "own_sha256": built.index.memory.manifest.digest,
            "encoder": built.encoder.digest,
            "distances": distances,
        },
        summary={
            "games_added": added["games"],
            "games_left_out": added["rejected"],
            "positions_added": added["positions"],
            "share_of_old_positions": added["positions"] / old.index.num_keys,
            "median_distance": {name: told.get("q50") for name, told in distances.items()},
        },
        timings=timings,
        **machine(),
    )


def judge_versions(config: GoConfig, parent: Built, grown: Built, run: Run) -> dict[str, Any]:
    """Quantiles of distances to the nearest neighbor: of test positions and of those that were
    added, in the old set and in the grown one. There an added position does not hear of its own
    game.

    At most `evaluate.positions` positions ask, drawn by the seed.
    """
    rng = np.random.default_rng([config.seed, 6])
    data = grown.data

    def drawn(rows: np.ndarray) -> np.ndarray:
        count = min(config.evaluate.positions, len(rows))
        return np.sort(rng.choice(rows, count, replace=False))

    known = parent.data.store.positions.num_positions
    rows = data.rows_of(ADDED)
    asking = {"test": drawn(data.rows_of(TEST)), "added": drawn(rows[rows >= known])}
    told: dict[str, Any] = {}
    for name, chosen in asking.items():
        positions, komi = data.store.positions.take(chosen), data.komi(chosen)
        own = positions.games
        old = nearest_distances(config, parent, positions, komi, run)
        new = nearest_distances(config, grown, positions, komi, run, hidden_games=own)
        told |= {f"{name}_to_old": quantiles(old), f"{name}_to_grown": quantiles(new)}
    return told


def _added_facts(asked: Additions, grown: Built) -> dict[str, Any]:
    """What this version has more than its parent."""
    metadata = added_store(grown).manifest.metadata
    return {
        "games": metadata["games"] - metadata["games_before"],
        "positions": metadata["positions"] - metadata["positions_before"],
        "positions_asked": asked.positions,
        "rejected": metadata["rejected"],
        "records": [
            {"name": file.name, "sha256": sha256}
            for file, sha256 in zip(asked.files, asked.digests, strict=True)
        ],
    }
