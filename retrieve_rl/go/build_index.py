"""The story of an index: records, encoder, keys, index, and how good its neighbors are."""

import time
from typing import Any

import numpy as np
from jaxtyping import UInt64

from retrieve_rl.go.agreement import agrees, canonical, is_same, shares
from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.config import (
    DEFAULT_ARM,
    RESULTS_VERSION,
    GoConfig,
    index_config,
    index_config_hash,
)
from retrieve_rl.go.data import GoData, load_data
from retrieve_rl.go.encoder import TrainedEncoder
from retrieve_rl.go.index import (
    GoIndex,
    keys_of,
    make_index,
    neighbors_of,
)
from retrieve_rl.go.raw_board import nearest_boards
from retrieve_rl.go.splits import TEST, VALIDATION
from retrieve_rl.go.train_encoder import fit, judge
from retrieve_rl.results import Run, RunResult, machine
from retrieve_rl.retrieval.quality import quantiles


def build_index(config: GoConfig, run: Run) -> RunResult:
    """Entry point of `rrl build-index --task`: every stage is made, or found as it was made.

    The neighbors of all training positions are found once a policy is to be trained, by the rule
    of its config: for millions that takes longer than the index.
    """
    began = time.perf_counter()
    timings: dict[str, float] = {}

    def finished(stage: str) -> None:
        timings[f"{stage}_seconds"] = time.perf_counter() - began - sum(timings.values())

    data = load_data(config, run)
    finished("store")
    encoder = fit(config, data, run)
    finished("encoder")
    index = make_index(config, data, encoder, run)
    finished("index")
    run.reporter.say("judging encoder and neighbors on held-out games")
    known = canonical(data.store.positions.boards[data.training_rows], run.stop)
    accuracy = judge_encoder(data, encoder, known)
    neighbors = judge_neighbors(config, data, encoder, index, known, run)
    finished("report")
    agreement = neighbors["neighbor_move_agreement"]
    return RunResult(
        command="build-index",
        status="ok",
        task=config.task,
        arm=DEFAULT_ARM,
        preset=config.preset,
        seed=config.index.seed,
        results_version=RESULTS_VERSION,
        config_hash=index_config_hash(config),
        config=index_config(config),
        inputs=data.facts,
        training={"steps": config.encoder.steps, "accuracy": accuracy},
        retrieval={
            "index": index.report,
            "sha256": index.memory.manifest.digest,
            "folder": str(index.folder.relative_to(run.root)),
            "explained_variance": float(np.sum(index.pca.explained)),
            **neighbors,
        },
        summary={
            "encoder_top1": accuracy["test"]["all"]["top1"],
            "encoder_top1_never_seen": accuracy["test"]["never_seen"].get("top1"),
            "value_error": accuracy["test"]["all"]["value_error"],
            "explained_variance": float(np.sum(index.pca.explained)),
            "recall_at_10": index.report["recall_at_10"],
            "neighbor_move_agreement": {name: one["all"] for name, one in agreement.items()},
            "neighbor_move_agreement_never_seen": {
                name: one["never_seen"] for name, one in agreement.items()
            },
            "nearest_is_same_position": neighbors["nearest_is_same_position"]["all"],
            "test_positions_seen": neighbors["seen"],
        },
        timings=timings,
        **machine(),
    )


def judge_encoder(
    data: GoData, encoder: TrainedEncoder, known: UInt64[np.ndarray, " N"]
) -> dict[str, Any]:
    """The encoder on validation and test games, and on boards that no training game holds.

    Args:
      known: the `canonical` boards of training games.
    """
    boards = data.store.positions.boards
    told = {}
    for name, part in (("validation", VALIDATION), ("test", TEST)):
        rows = data.rows_of(part)
        never_seen = ~np.isin(canonical(boards[rows]), known)
        told[name] = judge(encoder, data, rows, never_seen)
    return told


def judge_neighbors(
    config: GoConfig,
    data: GoData,
    encoder: TrainedEncoder,
    index: GoIndex,
    known: UInt64[np.ndarray, " N"],
    run: Run,
) -> dict[str, Any]:
    """How test positions compare with their neighbors: by learned key, by raw board, at random.

    Args:
      known: as in `judge_encoder`.
    """
    rng = np.random.default_rng([config.index.seed, 2])
    test_rows = data.rows_of(TEST)
    count = min(config.evaluate.positions, len(test_rows))
    queries = np.sort(rng.choice(test_rows, count, replace=False))
    random_rows = rng.choice(data.training_rows, (count, 1))
    found = {
        "learned": neighbors_of(config, data, encoder, index, queries),
        "raw_board": nearest_boards(data, queries, config.index.orientations, run),
        "random": TurnedNeighbors(
            random_rows, np.full((count, 1), np.nan), np.zeros((count, 1), int)
        ),
    }
    positions = data.store.positions
    plies = positions.plies[queries]
    seen = np.isin(canonical(positions.boards[queries]), known)
    learned = found["learned"]
    hits = {name: agrees(positions, queries, one) for name, one in found.items()}
    same = is_same(positions, queries, learned)
    query_keys = keys_of(config, data, encoder, index.pca, queries)
    pairs = index.keys[rng.integers(0, len(index.keys), count)]
    return {
        "queries": count,
        "seen": float(seen.mean()),
        "neighbor_move_agreement": {
            name: shares(hit[:, 0], plies, seen) for name, hit in hits.items()
        },
        "agreement_mean_of_neighbors": float(hits["learned"].mean()),
        "nearest_is_same_position": shares(same[:, 0], plies, seen),
        "distances": {
            "nearest": quantiles(learned.distances[:, 0]),
            "farthest": quantiles(learned.distances[:, -1]),
            "random_pairs": quantiles(np.sum((query_keys - pairs) ** 2, axis=1)),
        },
    }
