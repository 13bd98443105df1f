"""A paper whose cells take no time. A file of its own, so that other processes can import it."""

import errno
import os
import signal
import sys
import time
from operator import attrgetter
from pathlib import Path
from typing import Literal

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.config import RunConfig, digest, merge, name_of, parse_setting, validate
from retrieve_rl.errors import DataError, Interrupted, MissingDependencyError
from retrieve_rl.progress import Reporter
from retrieve_rl.results import Measurements, RunResult
from retrieve_rl.signals import stop_on_signals
from retrieve_rl.study.ablate import Asked, ablate
from retrieve_rl.study.paper import Paper

EPISODES = 4
TASKS = ("easy", "hard")


class StubConfig(RunConfig):
    """`ends` says how a cell of this size ends."""

    paper: Literal["stub"] = "stub"
    size: int = 1
    steps: int = 2
    seconds_a_step: float = 0.0
    ends: Literal["well", "badly", "unexpectedly", "on a full disk", "killed", "partly"] = "well"
    folder: str = ""


def resolve(task, *, preset, arm, seed, settings):
    if task not in TASKS:
        raise DataError(f"no task {task}")
    layers = [parse_setting(setting) for setting in settings]
    names = {"task": task, "preset": name_of(preset), "arm": name_of(arm), "seed": seed}
    return validate(StubConfig, merge([*layers, names]), source="stub")


def identity(config):
    facts = config.model_dump(mode="json")
    return {name: value for name, value in facts.items() if name != "folder"}


def config_hash(config):
    return digest(identity(config))


def train(config, run):
    """Counts its steps and carries a number from one to the next, both in one file, so that it can
    go on; a step that is lost or done twice gives other outcomes."""
    saved = run.folder / "count"
    done, level = saved.read_text().split() if saved.exists() else ("0", "0")
    done, level = int(done), float(level)
    rng = np.random.default_rng([config.seed, config.size, len(config.arm)])
    changes = rng.normal(0.0, 0.1, config.steps).tolist()
    while done < config.steps:
        time.sleep(config.seconds_a_step)
        level = 0.9 * level + changes[done]
        done += 1
        artifacts.write_file(saved, f"{done} {level!r}")
        with open(run.root / "steps.log", "a") as log:
            log.write(f"{config.task} {config.arm} {config.size} {config.seed} {done}\n")
        run.stop.raise_if_requested("the count is saved")
    if config.ends == "badly":
        raise DataError(f"size {config.size} ends badly")
    if config.ends == "unexpectedly":
        raise ValueError("two\nlines")
    if config.ends == "on a full disk":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if config.ends == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    level += 10.0 * config.size + (5.0 if config.arm == "ours" else 0.0)
    scores = (level + rng.normal(0.0, 1.0, EPISODES)).tolist()
    return RunResult(
        command="train-policy",
        status="partial" if config.ends == "partly" else "ok",
        task=config.task,
        arm=config.arm,
        preset=config.preset,
        seed=config.seed,
        results_version=1,
        config_hash=config_hash(config),
        config=config.model_dump(mode="json"),
        inputs={"sha256": "ab"},
        training={"steps": config.steps, "parameters": 7},
        outcomes=[{"seed": 100 + n, "score": score} for n, score in enumerate(scores)],
        summary={"measure": "score", "mean": float(np.mean(scores))},
        timings={"prepare_seconds": 1.0, "train_seconds": 60.0, "env_steps_per_second": 5.0},
        versions={"source": "c0ffee"},
        device={"platform": "cpu"},
    )


def measurements(result):
    scores = [outcome["score"] for outcome in result.outcomes]
    return Measurements([outcome["seed"] for outcome in result.outcomes], [], {"score": scores})


def conditions(result):
    return {"half": {"score": {"mean": result.summary["mean"] / 2, "low": None, "high": None}}}


def condition_totals(result):
    return {"half": [outcome["score"] / 2 for outcome in result.outcomes]}


def digests(result):
    return {"stub data": result.inputs["sha256"]}


def judged_on(settings, seed, measure):
    return {"size": settings["size"]} if "size" in settings else {}


def training():
    return train


PAPER = Paper(
    name="stub",
    results_version=1,
    resolve=resolve,
    config_hash=config_hash,
    judgment_hash=config_hash,
    steps=attrgetter("steps"),
    identity=identity,
    training=training,
    evaluation=None,
    measurements=measurements,
    conditions=conditions,
    digests=digests,
    condition_totals=condition_totals,
    judged_on=judged_on,
)


def paper_of(task):
    return PAPER


def nothing():
    """What has to be prepared."""


def no_device():
    raise MissingDependencyError("no such device")


def main(study, root, jobs):
    with stop_on_signals() as stop:
        try:
            report = ablate(
                Asked(study),
                paper_of,
                root=Path(root),
                folder=Path(root) / "cells",
                out=None,
                reporter=Reporter(),
                stop=stop,
                force=False,
                jobs=int(jobs),
                prepare=nothing,
            )
        except Interrupted as error:
            print(error, file=sys.stderr)
            return error.exit_code
    return 6 if report["failed"] else 0


if __name__ == "__main__":
    # By the name that other processes import it by, as pickled functions need it.
    import stub_paper

    sys.exit(stub_paper.main(*sys.argv[1:]))
