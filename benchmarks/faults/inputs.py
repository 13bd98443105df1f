"""The smallest inputs that every command can work on, and the command lines that do."""

from itertools import islice
from pathlib import Path

import h5py
import numpy as np
from commands import Command, Words

from retrieve_rl.go.archives import game_texts
from retrieve_rl.go.bundled import bundled_records

ENGINE = Path(__file__).resolve().parent.parent / "fake_engine.py"
_EPISODES, _STEPS, _KEYS, _GAMES = 4, 15, 1200, 60

TASK = """
[env]
id = "Hopper-v5"
max_steps = 20
target_return = 30.0
[data]
num_experts = 2
return_scale = 10.0
[memory]
latent_dim = 4
width = 8
steps = 4
batch_size = 8
[transformer]
num_layers = 1
width = 8
[mlp]
width = 8
[train]
steps = 50
batch_size = 8
context_len = 4
checkpoint_every = 25
[evaluate]
episodes = 2
"""
STUDY = """
title = "Tiny"
tasks = ["@/tiny.toml"]
arms = ["bc-experts"]
preset = "smoke"
[settings]
"data.dataset" = "@/data.hdf5"
"data.experts" = "@/experts.hdf5"
[grid]
"data.num_experts" = [1, 2]
"""
GO = (
    "data.fraction=1.0",
    "data.validation_share=0.15",
    "data.test_share=0.15",
    "encoder.channels=8",
    "encoder.num_blocks=1",
    "encoder.feature_width=16",
    "encoder.steps=2",
    "keys.dim=8",
    "evaluate.positions=10",
    "train.steps=2",
    "train.batch_size=4",
    "model.channels=4",
    "model.unroll_steps=1",
    "held_out.positions=20",
    "held_out.num_neighbors=[1]",
    "held_out.fractions=[0.5]",
)


def write_keys(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("keys", "other", "more"):
        keys = rng.normal(size=(_KEYS, 8)).astype(np.float32)
        np.save(folder / f"{name}.npy", keys[: 100 if name == "more" else None])


def write_data(folder: Path) -> None:
    for seed, name in enumerate(("data", "experts", "other")):
        write_d4rl(folder / f"{name}.hdf5", seed)
    (folder / "tiny.toml").write_text(TASK)
    (folder / "study.toml").write_text(STUDY.replace("@", str(folder)))


def write_d4rl(path: Path, seed: int) -> None:
    """Hopper's widths, random numbers."""
    rng, rows = np.random.default_rng(seed), _EPISODES * _STEPS
    with h5py.File(path, "w") as file:
        file["observations"] = rng.normal(size=(rows, 11)).astype(np.float32)
        file["actions"] = rng.uniform(-1, 1, (rows, 3)).astype(np.float32)
        file["rewards"] = rng.uniform(0, 2, rows).astype(np.float32)
        file["terminals"] = np.arange(rows) % _STEPS == _STEPS - 1
        file["timeouts"] = np.zeros(rows, bool)


def write_games(folder: Path) -> None:
    texts = islice(game_texts(bundled_records().path), _GAMES)
    (folder / "games.sgf").write_bytes(b"\n".join(text.text for text in texts))


def _set(settings: tuple[str, ...]) -> Words:
    return tuple(word for setting in settings for word in ("--set", setting))


_MATRIX: Words = ("build-index", "--keys", "@/keys.npy", "--out", "@/index", "--json", "-q")
_OTHER: Words = ("build-index", "--keys", "@/other.npy", "--out", "@/index", "--json", "-q")
_IMPORT: Words = ("data", "import", "@/data.hdf5", "--name", "mine", "--json", "-q")
_TINY: Words = (
    *("--task", "@/tiny.toml", "--preset", "smoke"),
    *("--dataset", "@/data.hdf5", "--experts", "@/experts.hdf5", "--set", "train.steps=50"),
    *("--set", "memory.steps=4", "--set", "data.num_experts=2", "--set", "evaluate.episodes=2"),
    *("--json", "-q"),
)
_GO_TASK: Words = (
    *("--task", "go9", "--preset", "smoke", "--games", "@/games.sgf", "--json", "-q"),
    *_set(GO),
)
_TRAINED = ("train-policy", *_TINY)

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("exact index", (*_MATRIX, "--index", "exact"), files=write_keys),
        Command(
            "ScaNN index",
            (*_MATRIX, "--index", "scann", "--shard-rows", "600"),
            files=write_keys,
        ),
        Command("index replaced", (*_MATRIX, "--force"), (_OTHER,), write_keys),
        Command(
            "index grown",
            (
                *("build-index", "--keys", "@/more.npy", "--add", "@/index"),
                *("--out", "@/grown", "--json", "-q"),
            ),
            (_MATRIX,),
            write_keys,
        ),
        Command("data imported", _IMPORT, files=write_data),
        Command(
            "data imported anew",
            _IMPORT,
            (("data", "import", "@/other.hdf5", "--name", "mine", "-q"),),
            write_data,
        ),
        Command("train-amb", ("train-amb", *_TINY), files=write_data),
        Command("train-policy", _TRAINED, files=write_data),
        Command("train-policy anew", (*_TRAINED, "--force"), (_TRAINED,), write_data),
        Command("evaluate", ("evaluate", *_TINY, "--episodes", "3"), (_TRAINED,), write_data),
        Command("ablate", ("ablate", "@/study.toml", "--json", "-q"), files=write_data),
        Command("Go: build-index", ("build-index", *_GO_TASK), files=write_games),
        Command("Go: train-policy", ("train-policy", *_GO_TASK), files=write_games),
        Command(
            "Go: evaluate", ("evaluate", *_GO_TASK), (("train-policy", *_GO_TASK),), write_games
        ),
    )
}
