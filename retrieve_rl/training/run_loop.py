"""Training within a run: metrics kept, checkpoints in time, stopped when asked, continued."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.results import Run
from retrieve_rl.training import checkpoints
from retrieve_rl.training.curve import forget_after, log_metrics
from retrieve_rl.training.loop import StepFn, train
from retrieve_rl.training.spent import log_spent
from retrieve_rl.training.state import TrainState

SaveFn = Callable[[TrainState, dict[str, float]], None]
"""Writes a checkpoint of a state and its metrics."""


def train_in_run(
    run: Run,
    start: TrainState,
    metrics: dict[str, float],
    *,
    title: str,
    total_steps: int,
    steps_at_once: int,
    checkpoint_every: int,
    step_fn: StepFn,
    rate_key: str,
    save: SaveFn,
) -> tuple[TrainState, dict[str, float]]:
    """Trains from `start`, whose metrics are given, to `total_steps`; returns both at the end.

    Args:
      rate_key: the config key of the learning rate.

    Raises:
      NonFiniteLossError: the last good checkpoint is kept.
      Interrupted: a signal came; the state was saved.
    """
    state, saved, since = start, int(start.step), time.perf_counter()
    with run.reporter.track(title, total_steps, start=saved) as advance:
        for state, metrics in train(
            start,
            total_steps=total_steps,
            steps_at_once=steps_at_once,
            step_fn=step_fn,
            rate_key=rate_key,
        ):
            step = int(state.step)
            log_metrics(run.folder, step, metrics)
            advance(step)
            due = step - saved >= checkpoint_every or step == total_steps
            if due or run.stop.requested:
                save(state, metrics)
                now = time.perf_counter()
                log_spent(run.folder, step, now - since)
                saved, since = step, now
                run.stop.raise_if_requested(
                    f"saved at step {step}; the same command goes on from there"
                )
    return state, metrics


def restore(
    run: Run, fresh: TrainState, made_from: Mapping[str, str]
) -> tuple[TrainState, dict[str, float]]:
    """The newest whole checkpoint of the run, or `fresh`; drops metrics logged after it.

    Args:
      made_from: name -> digest of all that the training reads now.

    Raises:
      DataError: the checkpoint was trained on other bytes.
    """
    path = checkpoints.latest_checkpoint(run.folder / "checkpoints", run.reporter.say)
    state, metrics = fresh, {}
    if path is not None:
        manifest = artifacts.read_manifest(path)
        _check_made_from(path, manifest.made_from, made_from)
        state, metrics = checkpoints.load_tree(path, fresh), manifest.metadata["metrics"]
    forget_after(run.folder, int(state.step))
    return state, metrics


def _check_made_from(path: Path, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    for name in sorted(then.keys() | now.keys()):
        before, after = (digests.get(name, "none")[:16] for digests in (then, now))
        if before != after:
            raise DataError(
                f"{path} was trained on another {name} ({before}) than there is now ({after}):"
                " put that one back, or start over with --force"
            )
