"""Real small artifacts of every kind, and what reads them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from commands import call, surroundings
from inputs import COMMANDS, GO, write_games

from retrieve_rl.cli.listing import check_artifacts
from retrieve_rl.config import validate
from retrieve_rl.errors import DataError
from retrieve_rl.go import config as go_config
from retrieve_rl.go.data import load_data, open_data
from retrieve_rl.go.open_trained import open_trained
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import config as reframe_config
from retrieve_rl.reframe import datasets
from retrieve_rl.reframe.data import load_training_data
from retrieve_rl.reframe.evaluate import trained_policy
from retrieve_rl.results import Run, RunResult, read_result, write_result
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.signals import UNASKED
from retrieve_rl.training.checkpoints import checkpoint_of, save_checkpoint

_SILENT = Reporter(verbosity=-1)
_STEP = 3


@dataclass(frozen=True)
class Scene:
    """Artifacts and their reader.

    Attributes:
      make: fills a folder.
      part: below it, what is damaged.
      read: raises DataError where anything there is damaged.
      trains: takes half a minute to make.
    """

    make: Callable[[Path], None]
    part: str
    read: Callable[[Path], object]
    trains: bool = False


def _carried_out(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        command = COMMANDS[name]
        command.files(folder)
        for words in (*command.before, command.words):
            done = call(words, folder)
            if done.exit_code:
                raise RuntimeError(f"{words} exited {done.exit_code}: {done.output}")

    return make


def _imported(folder: Path) -> object:
    with mock.patch.dict(os.environ, surroundings(folder)):
        return datasets.load("d4rl/mine", _SILENT)


def _go_choice(folder: Path) -> go_config.GoConfig:
    return go_config.resolve("go9", preset="smoke", games=folder / "games.sgf", settings=GO)


def _run_in(folder: Path) -> Run:
    return Run(folder, folder, _SILENT, UNASKED)


def _make_store(folder: Path) -> None:
    write_games(folder)
    load_data(_go_choice(folder), _run_in(folder))


def _make_checkpoint(folder: Path) -> None:
    tree = {"weights": np.arange(60, dtype=np.float32).reshape(6, 10)}
    save_checkpoint(folder / "checkpoints", _STEP, tree, made_from={}, metadata={})


def _make_result(folder: Path) -> None:
    write_result(
        folder,
        RunResult(
            command="evaluate",
            status="ok",
            task="tiny",
            arm="reframe",
            preset="smoke",
            seed=0,
            results_version=1,
            config_hash="0" * 64,
            config={},
            inputs={},
            outcomes=[{"return_raw": 1.5}],
        ),
    )


def _trained(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The only trained run below the folder, and its config."""
    (file,) = folder.glob("runs/train-policy/*/*/result.json")
    return file.parent, read_result(file).config


def _open_go(folder: Path) -> None:
    run, values = _trained(folder)
    config = validate(go_config.GoConfig, values, source=str(run))
    open_trained(config, run, folder / "runs")
    _verify_all(folder)


def _open_reframe(folder: Path) -> None:
    run, values = _trained(folder)
    config = validate(reframe_config.ReframeConfig, values, source=str(run))
    data = load_training_data(config, _SILENT)
    trained_policy(config, run, data, Run(run, folder / "runs", _SILENT, UNASKED))
    _verify_all(folder)


def _verify_all(folder: Path) -> None:
    """Also what only a training reads."""
    damaged = check_artifacts(folder)["damaged"]
    if damaged:
        raise DataError("; ".join(damaged))


SCENES: dict[str, Scene] = {
    "exact index": Scene(
        _carried_out("exact index"), "index", lambda folder: open_memory(folder / "index")
    ),
    "ScaNN index": Scene(
        _carried_out("ScaNN index"), "index", lambda folder: open_memory(folder / "index")
    ),
    "grown index": Scene(
        _carried_out("index grown"), "grown", lambda folder: open_memory(folder / "grown")
    ),
    "imported data": Scene(_carried_out("data imported"), "data", _imported),
    "checkpoint": Scene(
        _make_checkpoint,
        "checkpoints",
        lambda folder: checkpoint_of(folder / "checkpoints", _STEP),
    ),
    "result": Scene(_make_result, ".", read_result),
    "Go store": Scene(_make_store, "stores", lambda folder: open_data(_go_choice(folder), folder)),
    "Go run": Scene(_carried_out("Go: train-policy"), "runs", _open_go, trains=True),
    "Re:Frame run": Scene(_carried_out("train-policy"), "runs", _open_reframe, trains=True),
}
