"""Judging a trained policy: fixed seeds, the task's target return, the last checkpoint."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from retrieve_rl.errors import DataError
from retrieve_rl.reframe.config import EnvConfig, ReframeConfig
from retrieve_rl.reframe.data import TrainingData, changes, load_training_data
from retrieve_rl.reframe.memory import make_or_open
from retrieve_rl.reframe.policy import (
    TrainedPolicy,
    count_parameters,
    make_optimizer,
    new_policy,
)
from retrieve_rl.reframe.probe import distance_to_expert
from retrieve_rl.reframe.report import Evaluation, make_result
from retrieve_rl.reframe.rollout import Answer, Rollouts, check_environment, rollout
from retrieve_rl.reframe.windows import Window
from retrieve_rl.results import Run, RunResult, read_result
from retrieve_rl.statistics import bootstrap_interval
from retrieve_rl.training.checkpoints import (
    check_trained,
    checkpoint_of,
    load_tree,
    trained_facts,
)
from retrieve_rl.training.state import init_state

_PUBLISHED_SEEDS = 10_000
_TUNING_SEEDS = 500_000
"""Reset seeds of evaluation episodes; below 1,000,000, where data making's begin."""


_fold_in = jax.jit(jax.random.fold_in)  # a sixth of the time, at every step


def evaluate_policy(policy: TrainedPolicy, data: TrainingData, run: Run) -> Evaluation:
    """Rolls out the policy and measures what its memory does."""
    config = policy.config
    first_seed = _TUNING_SEEDS if config.tuning else _PUBLISHED_SEEDS
    rng_key = jax.random.fold_in(jax.random.key(config.seed), 3)

    def act(window: Window, step: int) -> Answer:
        output = policy.answer(window, _fold_in(rng_key, step))
        columns = (output.actions, output.gate, output.closeness)
        return Answer(*(np.asarray(column)[:, 0] for column in columns))

    began = time.perf_counter()
    rollouts = rollout(
        act,
        env_id=data.env_id,
        seeds=range(first_seed, first_seed + config.evaluate.episodes),
        max_steps=config.env.max_steps,
        context_len=config.train.context_len,
        target_return=config.env.target_return,
        return_scale=config.data.return_scale,
        normalizer=data.normalizer,
        reporter=run.reporter,
        stop=run.stop,
    )
    seconds = time.perf_counter() - began
    outcomes = [score(outcome, config.env) for outcome in rollouts.outcomes]
    timings = {
        "evaluate_seconds": seconds,
        "env_steps_per_second": rollouts.steps / seconds,
        "milliseconds_per_policy_call": 1e3 * rollouts.seconds_acting / rollouts.calls,
    }
    run.reporter.say("measuring the distance to the expert's actions")
    retrieval = _retrieval(policy, data, rollouts)
    summary = summarize(outcomes, config.env)
    broken = summary.get("broken_episodes")
    if broken:
        run.reporter.say(
            f"{broken} of {len(outcomes)} episodes broke: a step was not finite; their returns end"
            " there, and the result is partial"
        )
    return Evaluation(outcomes, summary, retrieval, timings)


def trained_policy(
    config: ReframeConfig, folder: Path, data: TrainingData, run: Run
) -> TrainedPolicy:
    """The last checkpoint of the finished training run in `folder`, with what it recalls.

    Raises:
      DataError: no checkpoint of the last step, or one of another run, data set or config.
    """
    path, manifest = checkpoint_of(folder / "checkpoints", config.train.steps)
    memory = make_or_open(config, data, run) if config.retrieves else None
    trained_with = read_result(folder)
    check_trained(path, manifest, trained_with.training)
    if memory and (trained_with.retrieval or {}).get("sha256") != memory.facts["sha256"]:
        raise DataError(f"{folder} was trained with another memory than the one of its config")
    changed = changes(trained_with.inputs, data.inputs)
    if changed:
        raise DataError(f"{folder} was trained on other data: {'; '.join(changed)}")
    graphdef, params = nnx.split(new_policy(config, data.observation_dim, data.action_dim))
    state = load_tree(path, init_state(params, make_optimizer(config)))
    return TrainedPolicy(config, graphdef, state.params, memory)


def evaluate(config: ReframeConfig, run: Run, *, trained: Path) -> RunResult:
    """Entry point of `rrl evaluate`: judges the training run in `trained` again.

    `config` is the run's own, but for its `evaluate` section.
    """
    began = time.perf_counter()
    data = load_training_data(config, run.reporter, run.stop)
    check_environment(data.env_id, data.observation_dim, data.action_dim)
    policy = trained_policy(config, trained, data, run)
    timings = {"prepare_seconds": time.perf_counter() - began}
    training = {
        "steps": config.train.steps,
        "parameters": count_parameters(policy.params),
        **trained_facts(trained / "checkpoints", config.train.steps),
    }
    evaluation = evaluate_policy(policy, data, run)
    return make_result("evaluate", config, data, evaluation, training=training, timings=timings)


def score(outcome: dict[str, Any], env: EnvConfig) -> dict[str, Any]:
    """Adds `normalized_score_100 = 100 (return - min) / (max - min)`, where the task has bounds."""
    if env.score_min is None or env.score_max is None:
        return outcome
    fraction = (outcome["return_raw"] - env.score_min) / (env.score_max - env.score_min)
    return {**outcome, "normalized_score_100": 100.0 * fraction}


def summarize(outcomes: list[dict[str, Any]], env: EnvConfig) -> dict[str, Any]:
    """Means with 95% intervals over episodes (bootstrap), of the raw return and of the score.

    `mean`, `low` and `high` are of the normalized score, or of the raw return without bounds;
    `measure` says which. `broken_episodes` counts those that ended at a step that was not finite,
    where there are any; each counts with its return up to there.
    """
    returns = np.array([outcome["return_raw"] for outcome in outcomes])
    summary: dict[str, Any] = {"return_raw": _interval(returns)}
    headline, measure = summary["return_raw"], "return_raw"
    if env.score_table:
        scores = np.array([outcome["normalized_score_100"] for outcome in outcomes])
        summary["normalized_score_100"] = headline = _interval(scores)
        measure = "normalized_score_100"
    broken = sum(outcome["status"] == "non_finite" for outcome in outcomes)
    return {
        **summary,
        **headline,
        "measure": measure,
        "score_table": env.score_table or None,
        "target_return": env.target_return,
        "episodes": len(outcomes),
        **({"broken_episodes": broken} if broken else {}),
        "mean_length": float(np.mean([outcome["length"] for outcome in outcomes])),
        "selection": "last",
    }


def _interval(values: np.ndarray) -> dict[str, float]:
    low, high = bootstrap_interval(values)
    return {"mean": float(values.mean()), "low": low, "high": high}


def _retrieval(
    policy: TrainedPolicy, data: TrainingData, rollouts: Rollouts
) -> dict[str, Any] | None:
    if policy.memory is None:
        return None
    report = {
        **policy.memory.facts,
        "distance_scale": float(policy.memory.buffer.distance_scale),
        "mean_gate": rollouts.gate,
        "mean_closeness": rollouts.closeness,
    }
    if data.held_out is not None:
        report["distance_to_expert"] = distance_to_expert(policy, data.held_out)
    return report
