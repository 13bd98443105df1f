"""Fixtures that several test files share: tiny configs, synthetic data, one trained smoke run."""

import os

import jax
import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.config import merge, validate
from retrieve_rl.go.board import Boards
from retrieve_rl.go.points import BLACK, PASS, WHITE
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import datasets
from retrieve_rl.reframe.amb import AssociativeMemoryBuffer
from retrieve_rl.reframe.config import ReframeConfig, config_hash, resolve
from retrieve_rl.reframe.data import TrainingData, load_training_data
from retrieve_rl.reframe.episodes import build_episodes
from retrieve_rl.reframe.evaluate import trained_policy
from retrieve_rl.reframe.memory import Memory
from retrieve_rl.reframe.train import train_policy
from retrieve_rl.reframe.windows import StepTable, fit_normalizer, step_table
from retrieve_rl.results import Run, run_folder
from retrieve_rl.runs import carry_out
from retrieve_rl.signals import StopRequest

# Tests compile a great deal and compute little: half of their time was LLVM's optimizing. Commands
# that tests start inherit it; `make smoke` runs them all as users do.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
SILENT = Reporter(verbosity=-1)
LETTERS = "abcdefghi"
TINY = {
    "task": "tiny",
    "arm": "reframe",
    "preset": "smoke",
    "env": {"id": "Hopper-v5", "max_steps": 50},
    "data": {"num_experts": 3, "expert_share": 0.5, "return_scale": 10.0},
    "memory": {"latent_dim": 4, "width": 8, "steps": 10, "batch_size": 8},
    "retrieval": {"num_neighbors": 3},
    "transformer": {"num_layers": 1, "width": 8},
    "mlp": {"width": 8},
    "train": {"steps": 4, "batch_size": 8, "context_len": 4, "checkpoint_every": 1000},
    "evaluate": {"episodes": 2},
}


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """Tests make the same small programs again and again, and so do the commands they start:
    compile each once a worker. Not once for all: JAX writes an entry in place, and another worker
    could read half of it."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))
        yield


@pytest.fixture(autouse=True)
def own_cells(tmp_path, monkeypatch):
    """No test leaves finished cells in the checkout, or finds any there."""
    monkeypatch.setenv("RRL_CELLS", str(tmp_path / "cells-of-the-test"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def tiny():
    """tiny(train={"steps": 2}, ...): a config of tiny networks with these values replaced."""

    def make(**sections) -> ReframeConfig:
        return validate(ReframeConfig, merge([TINY, sections]), source="tiny")

    return make


@pytest.fixture(scope="session")
def make_episodes():
    """make_episodes([5, 3]): random episodes of these lengths."""

    def make(lengths, *, seed=0, observation_dim=3, action_dim=2, **changes):
        rng = np.random.default_rng(seed)
        steps = sum(lengths)
        parts = {
            "dataset_id": "rrl/test/tiny-v0",
            "family": "bundled",
            "env_id": "Hopper-v5",
            "recipe": "rrl/test/tiny-v0@1",
            "observations": rng.normal(size=(steps, observation_dim)),
            "actions": rng.uniform(-0.9, 0.9, (steps, action_dim)),
            "rewards": rng.uniform(0, 2, steps),
            "offsets": np.cumsum([0, *lengths]),
            "terminated": np.ones(len(lengths), bool),
        }
        return build_episodes(**{**parts, **changes})

    return make


@pytest.fixture(scope="session")
def make_table(make_episodes):
    """make_table([5, 3]): the step table of such episodes."""

    def make(lengths, **options) -> StepTable:
        episodes = make_episodes(lengths, **options)
        return step_table(episodes, fit_normalizer(episodes.observations), 10.0)

    return make


@pytest.fixture(scope="session")
def make_data(make_episodes):
    """make_data(experts=[12, 9]): synthetic training data."""

    def make(data=(30, 20, 25), experts=(12, 9, 14), held_out=(10,), **options) -> TrainingData:
        episodes = make_episodes(data, seed=1, **options)
        drawn = make_episodes(experts, seed=2, **options)
        normalizer = fit_normalizer(episodes.observations)
        apart = make_episodes(held_out, seed=3, **options) if held_out else None
        return TrainingData(
            data=step_table(episodes, normalizer, 10.0),
            experts=step_table(drawn, normalizer, 10.0),
            held_out=step_table(apart, normalizer, 10.0) if apart else None,
            normalizer=normalizer,
            env_id="Hopper-v5",
            inputs={
                "dataset": {"id": "rrl/test/tiny-v0", "sha256": episodes.sha256},
                "experts": {"sha256": drawn.sha256, "drawn": list(range(len(experts)))},
                "env_id": "Hopper-v5",
            },
        )

    return make


@pytest.fixture(scope="session")
def make_memory():
    """make_memory(table, keys): a memory of the table's steps, untrained; by default its
    observations are the keys."""

    def make(table, keys=None) -> Memory:
        width = table.observations.shape[1]
        buffer = AssociativeMemoryBuffer(
            keys=table.observations if keys is None else keys,
            actions=table.actions,
            trajectories=table.trajectories,
            timesteps=table.timesteps,
            center=np.zeros(width, np.float32),
            spread=np.ones(width, np.float32),
            distance_scale=np.float32(2.0),
        )
        return Memory(buffer, None, {"sha256": "0" * 64})

    return make


@pytest.fixture(scope="session")
def random_sgf():
    """random_sgf(seed, moves): SGF text of a random legal game with some passes."""

    def make(seed, moves=40, header="KM[7]RE[B+3]") -> bytes:
        rng, boards, color = np.random.default_rng(seed), Boards(1), BLACK
        nodes = []
        for _ in range(moves):
            legal = boards.legal_moves(np.array([color]))[0]
            move = int(rng.choice(np.flatnonzero(legal)))
            boards.play(np.zeros(1, int), np.array([move]), np.array([color]))
            name = "" if move == PASS else LETTERS[move % 9] + LETTERS[move // 9]
            nodes.append(f";{'_BW'[color]}[{name}]")
            color = BLACK + WHITE - color
        return f"(;GM[1]SZ[9]{header}{''.join(nodes)})\n".encode()

    return make


@pytest.fixture(scope="session")
def go_settings():
    """Settings of a tiny Go run over sixty random games, a quarter of them held out."""
    return (
        "data.fraction=1.0",
        "data.validation_share=0.15",
        "data.test_share=0.15",
        "encoder.channels=8",
        "encoder.num_blocks=1",
        "encoder.feature_width=16",
        "encoder.steps=40",
        "keys.layer=points",  # Forty steps tell boards apart, not yet moves.
        "keys.dim=8",
        "evaluate.positions=60",
    )


@pytest.fixture
def make_run(tmp_path):
    """make_run("a"): the run in tmp_path/a, silent and not asked to stop; shared root tmp_path."""

    def make(name="run") -> Run:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Run(folder, tmp_path, SILENT, StopRequest())

    return make


@pytest.fixture(scope="session")
def make_shared_run(tmp_path_factory):
    """As make_run, in a folder of its own, for fixtures that serve several tests."""

    def make() -> Run:
        root = tmp_path_factory.mktemp("shared")
        return Run(root, root, SILENT, StopRequest())

    return make


@pytest.fixture(scope="session")
def short_data():
    """Makes hopper's short data sets where they are missing; several workers may ask at once."""
    for name in ("rrl/hopper/medium-short-v0", "rrl/hopper/expert-short-v0"):
        datasets.load(name, SILENT)


@pytest.fixture(scope="session")
def smoke(short_data, tmp_path_factory, worker_id):
    """The shipped smoke run (hopper-medium, reframe, seed 0): (config, run, data, policy).

    Trained once for all workers of a test session.
    """
    root = tmp_path_factory.getbasetemp()
    root = (root if worker_id == "master" else root.parent) / "smoke"
    config = resolve("hopper-medium", preset="smoke", arm="reframe", seed=0)
    names = {"task": config.task, "arm": config.arm, "preset": config.preset, "seed": config.seed}
    folder = run_folder(root, "train-policy", **names, config_hash=config_hash(config))
    with artifacts.lock(root / "shared", wait_seconds=250):
        carry_out(train_policy, config, folder, root, SILENT, StopRequest())
        run = Run(folder, root, SILENT, StopRequest())
        data = load_training_data(config, SILENT)
        policy = trained_policy(config, folder, data, run)
    return config, run, data, policy
