"""Judging a policy on held-out games, under every condition of its neighbors."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, Shaped

from retrieve_rl.go.built import Built
from retrieve_rl.go.config import RESULTS_VERSION, GoConfig, config_hash
from retrieve_rl.go.data import GoData
from retrieve_rl.go.held_out import AS_TRAINED, NO_NEIGHBORS, conditions, held_out_rows
from retrieve_rl.go.judge_policy import Judged, by_ply, by_step, differences, judge_policy
from retrieve_rl.go.model import count_parameters
from retrieve_rl.go.neighbor_inputs import retrieval_set
from retrieve_rl.go.open_trained import open_trained
from retrieve_rl.go.policy import TrainedPolicy
from retrieve_rl.go.train_encoder import batch_of
from retrieve_rl.results import Run, RunResult, machine, read_result
from retrieve_rl.retrieval.quality import quantiles
from retrieve_rl.statistics import GroupResamples
from retrieve_rl.training.checkpoints import trained_facts


class Evaluation(NamedTuple):
    """What a result holds of an evaluation.

    Attributes:
      outcomes: sums over each test game, as trained.
      summary: the named numbers.
      retrieval: the table of every condition.
    """

    outcomes: list[dict[str, Any]]
    summary: dict[str, Any]
    retrieval: dict[str, Any]


def evaluate(
    config: GoConfig, run: Run, *, trained: Path, version: Path | None = None
) -> RunResult:
    """Entry point of `rrl evaluate` for Go: judges the training run in `trained` thoroughly.

    Makes nothing but the result, which names the index that was asked and the one of the training.

    Args:
      version: of the index the policy was trained with, to be asked in its place; see `versions`.

    Raises:
      DataError: an artifact is missing, damaged, or another than the run was trained with.
      UsageError: a version is named for a policy that retrieves nothing.
    """
    began = time.perf_counter()
    policy, data, built = open_trained(config, trained, run.root, version)
    before = read_result(trained)
    timings = {"prepare_seconds": time.perf_counter() - began}
    judged = evaluate_policy(policy, data, built, run, thorough=True)
    if before.retrieval and "sha256" in before.retrieval:
        judged.retrieval["trained_with_sha256"] = before.retrieval["sha256"]
    timings["evaluate_seconds"] = time.perf_counter() - began - timings["prepare_seconds"]
    training = {
        "steps": config.train.steps,
        "parameters": count_parameters(policy.params),
        **trained_facts(trained / "checkpoints", config.train.steps),
    }
    return make_result("evaluate", config, data, judged, training=training, timings=timings)


def evaluate_policy(
    policy: TrainedPolicy, data: GoData, built: Built | None, run: Run, *, thorough: bool
) -> Evaluation:
    """Errors on held-out positions: as trained and without neighbors; if `thorough`, all tables."""
    config = policy.config
    rows = held_out_rows(config, data)
    asking = batch_of(data, rows)
    plies = asking.positions.plies.astype(np.int64)
    known = jax.device_put(retrieval_set(data))
    resamples = GroupResamples(asking.positions.games)
    told: dict[str, Judged] = {}
    tables: dict[str, Any] = {}
    for condition in conditions(config, data, built, rows, thorough=thorough):
        run.stop.raise_if_requested("nothing of the evaluation is kept: run again")
        run.reporter.say(f"judging: {condition.name}")
        judged = judge_policy(policy, known, asking, condition.neighbors)
        told[condition.name] = judged
        tables[condition.name] = {
            **condition.facts,
            "nearest_distance": quantiles(condition.neighbors.distances[:, 0]),
            "by_step": by_step(judged, resamples),
            "by_ply": by_ply(judged, plies, resamples),
            "hits_by_game": sums_by_game(data, rows, judged.errors.hit[:, 0]).astype(int).tolist(),
        }
    for name in told.keys() - {NO_NEIGHBORS} if NO_NEIGHBORS in told else ():
        gain = differences(told[name], told[NO_NEIGHBORS], resamples)
        tables[name]["less_no_neighbors"] = gain
    of_index: dict[str, Any] = {}
    if built:
        of_index = {
            "sha256": built.index.memory.manifest.digest,
            "recall_at_10": built.index.report["recall_at_10"],
        }
    return Evaluation(
        _outcomes(data, rows, told[AS_TRAINED]),
        _summary(tables),
        {**of_index, "conditions": tables},
    )


def make_result(
    command: str,
    config: GoConfig,
    data: GoData,
    evaluation: Evaluation,
    *,
    training: dict[str, Any],
    timings: dict[str, float],
) -> RunResult:
    """Puts the parts together."""
    return RunResult(
        command=command,
        status="ok",
        task=config.task,
        arm=config.arm,
        preset=config.preset,
        seed=config.seed,
        results_version=RESULTS_VERSION,
        config_hash=config_hash(config),
        config=config.model_dump(mode="json"),
        inputs=data.facts,
        training=training,
        retrieval=evaluation.retrieval,
        outcomes=evaluation.outcomes,
        summary=evaluation.summary,
        timings=timings,
        **machine(),
    )


def _summary(tables: dict[str, Any]) -> dict[str, Any]:
    """The headline is the accuracy as trained, with its interval over games."""
    first = tables[AS_TRAINED]["by_step"][0]
    names = ("top1", "cross_entropy", "value_error")
    return {
        "measure": "top1",
        **first["top1"],
        **{name: first[name] for name in names},
        "positions": first["positions"],
        "top1_of": {name: table["by_step"][0]["top1"]["mean"] for name, table in tables.items()},
        "value_error_of": {
            name: table["by_step"][0]["value_error"]["mean"] for name, table in tables.items()
        },
        **(
            {"top1_less_no_neighbors": gain["top1"]}
            if (gain := tables[AS_TRAINED].get("less_no_neighbors"))
            else {}
        ),
    }


def _outcomes(data: GoData, rows: np.ndarray, judged: Judged) -> list[dict[str, Any]]:
    """Sums over the positions of each test game, so that runs can be compared game by game."""
    games = np.unique(data.store.positions.games[rows])
    errors = judged.errors
    positions, hits, entropy, value = (
        sums_by_game(data, rows, part[:, 0])
        for part in (judged.has_move, errors.hit, errors.cross_entropy, errors.value_error)
    )
    return [
        {
            "game": bytes(data.store.games.digests[game]).hex(),
            "positions": int(positions[number]),
            "hits": int(hits[number]),
            "cross_entropy": float(entropy[number]),
            "value_error": float(value[number]),
        }
        for number, game in enumerate(games)
    ]


def sums_by_game(
    data: GoData, rows: Int[np.ndarray, " M"], values: Shaped[np.ndarray, " M"]
) -> Float[np.ndarray, " G"]:
    """Over the positions of each game that has any, in the order of the games."""
    games, members = np.unique(data.store.positions.games[rows], return_inverse=True)
    return np.bincount(members, values.astype(np.float64), len(games))
