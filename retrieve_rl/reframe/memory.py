"""Making, saving and opening the memory of a run: stage 1 from data to artifact.

A memory is shared by every run whose config would make the same one; it lies under a key of just
those settings.
"""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from retrieve_rl import artifacts
from retrieve_rl.config import digest
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.locks import shared
from retrieve_rl.reframe.amb import (
    AssociativeMemoryBuffer,
    Autoencoder,
    autoencoder_loss,
    reconstruction_errors,
    sample_triplets,
    triplets_of,
)
from retrieve_rl.reframe.config import RESULTS_VERSION, ReframeConfig
from retrieve_rl.reframe.data import TrainingData, load_training_data
from retrieve_rl.reframe.report import make_result
from retrieve_rl.reframe.windows import StepTable, fit_normalizer
from retrieve_rl.results import Run, RunResult
from retrieve_rl.retrieval.neighbors import nearest
from retrieve_rl.training.checkpoints import load_tree, save_tree
from retrieve_rl.training.loop import train
from retrieve_rl.training.state import TrainState, init_state, train_steps

_STEPS_AT_ONCE = 100


@dataclass(frozen=True)
class Memory:
    """An opened memory.

    Attributes:
      buffer: keys, actions and episode numbers.
      autoencoder: makes the frozen queries; None where observations are the keys.
      facts: reconstruction errors, rows and hashes, for the result.
    """

    buffer: AssociativeMemoryBuffer
    autoencoder: Autoencoder | None
    facts: dict[str, Any]


def memory_folder(config: ReframeConfig, data: TrainingData, root: Path) -> Path:
    """Where the memory of this config and this data lies."""
    made_from = {
        "experts": data.inputs["experts"]["sha256"],
        "drawn": data.inputs["experts"]["drawn"],
        "normalizer": artifacts.sha256_of_arrays(data.normalizer._asdict()),
        "return_scale": config.data.return_scale,
        "seed": config.seed,
        "memory": config.memory.model_dump(),
        "query": "latent" if config.needs_autoencoder else "observation",
        "results_version": RESULTS_VERSION,
    }
    return root / "memories" / digest(made_from)[:16]


def make_or_open(config: ReframeConfig, data: TrainingData, run: Run) -> Memory:
    """Opens the memory this config asks for; trains and saves it first where there is none.

    Raises:
      DataError: a damaged memory; delete it and run again.
    """
    folder = memory_folder(config, data, run.root)
    with shared(folder, run.reporter, run.stop):
        if not folder.exists():
            run.reporter.say(f"making the memory of {data.experts.num_steps} expert steps")
            make(config, data, run, folder)
    return open_memory(config, data, folder)


def make(config: ReframeConfig, data: TrainingData, run: Run, folder: Path) -> None:
    """Trains the autoencoder, where one is needed, and saves the filled memory at `folder`."""
    if config.needs_autoencoder:
        autoencoder = train_autoencoder(config, data, run)
        keys, actions = fill(autoencoder, data.experts)
        facts = {"reconstruction": _errors(autoencoder, data)}
    else:
        autoencoder, facts = None, {}
        keys, actions = data.experts.observations, data.experts.actions
    queries = keys
    if autoencoder is not None:
        queries = np.asarray(
            autoencoder.encode_state(data.experts.returns_to_go, data.experts.observations)
        )
    center, spread = fit_normalizer(data.experts.observations)
    buffer = AssociativeMemoryBuffer(
        keys=np.asarray(keys),
        actions=np.asarray(actions),
        trajectories=data.experts.trajectories,
        timesteps=data.experts.timesteps,
        center=center,
        spread=spread,
        distance_scale=distance_scale(keys, queries, data.experts.trajectories),
    )
    made_from = {"experts": data.inputs["experts"]["sha256"]}
    with artifacts.create(folder, kind="memory", made_from=made_from, metadata=facts) as building:
        artifacts.save_arrays(building / "buffer.npz", buffer._asdict())
        if autoencoder is not None:
            (building / "autoencoder").mkdir()
            save_tree(building / "autoencoder", nnx.split(autoencoder)[1])


def open_memory(config: ReframeConfig, data: TrainingData, folder: Path) -> Memory:
    """Verifies and reads the memory at `folder`. Raises DataError."""
    manifest = artifacts.verify(folder, kind="memory")
    buffer = AssociativeMemoryBuffer(**artifacts.load_arrays(folder / "buffer.npz"))
    autoencoder = None
    if config.needs_autoencoder:
        graphdef, params = nnx.split(_new_autoencoder(config, data))
        autoencoder = nnx.merge(graphdef, load_tree(folder / "autoencoder", params))
    if buffer.num_rows != data.experts.num_steps:
        raise DataError(
            f"{folder} has {buffer.num_rows} rows, the experts {data.experts.num_steps}: delete it"
        )
    facts = {
        **manifest.metadata,
        "sha256": manifest.digest,
        "rows": buffer.num_rows,
        "trajectories": int(buffer.trajectories.max()) + 1,
        "key_dim": buffer.keys.shape[1],
        "bytes": sum(array.nbytes for array in buffer),
    }
    return Memory(buffer, autoencoder, facts)


def train_autoencoder(config: ReframeConfig, data: TrainingData, run: Run) -> Autoencoder:
    """Trains on the drawn expert steps for `memory.steps` steps."""
    graphdef, params = nnx.split(_new_autoencoder(config, data))
    optimizer = optax.adam(config.memory.learning_rate)
    experts = jax.device_put(data.experts)
    rng_key = jax.random.fold_in(jax.random.key(config.seed), 1)

    @partial(jax.jit, static_argnames="num_steps")
    def step_fn(state: TrainState, num_steps: int, experts: StepTable) -> Any:
        return train_steps(
            state,
            rng_key,
            num_steps=num_steps,
            sample_fn=partial(sample_triplets, experts, config.memory.batch_size),
            loss_fn=partial(autoencoder_loss, graphdef),
            optimizer=optimizer,
        )

    state = init_state(params, optimizer)
    with run.reporter.track("autoencoder", config.memory.steps) as advance:
        for state, _ in train(
            state,
            total_steps=config.memory.steps,
            steps_at_once=_STEPS_AT_ONCE,
            step_fn=lambda state, num_steps: step_fn(state, num_steps, experts),
            rate_key="memory.learning_rate",
        ):
            advance(int(state.step))
            run.stop.raise_if_requested("the memory is made anew next time")
    return nnx.merge(graphdef, state.params)


def fill(autoencoder: Autoencoder, experts: StepTable) -> tuple[np.ndarray, np.ndarray]:
    """Latents [N, D] of every expert step and the actions [N, A] decoded from them."""
    latents = autoencoder.encode(triplets_of(experts))
    return np.asarray(latents), np.asarray(autoencoder.decode(latents).actions)


def distance_scale(keys: np.ndarray, queries: np.ndarray, trajectories: np.ndarray) -> np.float32:
    """Median squared distance from an expert step's query to its nearest key of another episode.

    Measured on up to 1,000 steps spread evenly. With one episode there is no other: then the
    nearest key outside the step's own tenth of the episode stands in, which may lie just beyond
    its border.
    """
    rows = np.unique(np.linspace(0, len(keys) - 1, min(1000, len(keys))).astype(int))
    groups = trajectories
    if trajectories.max() == 0:
        groups = (np.arange(len(keys)) * 10 // max(len(keys), 1)).astype(np.int32)
    found = nearest(
        jnp.asarray(keys),
        jnp.asarray(queries[rows]),
        1,
        key_groups=jnp.asarray(groups),
        not_from=jnp.asarray(groups[rows])[:, None],
    )
    distances = np.asarray(found.distances)[np.asarray(found.indices) >= 0]
    return np.float32(max(np.median(distances), 1e-6) if distances.size else 1.0)


def train_amb(config: ReframeConfig, run: Run) -> RunResult:
    """Entry point of `rrl train-amb`: stage 1 alone. Raises UsageError for an arm without it."""
    if not config.retrieves:
        raise UsageError(f"the arm {config.arm} has no memory: choose one that retrieves (--arm)")
    began = time.perf_counter()
    data = load_training_data(config, run.reporter, run.stop)
    loaded = time.perf_counter()
    memory = make_or_open(config, data, run)
    timings = {"load_seconds": loaded - began, "train_seconds": time.perf_counter() - loaded}
    return make_result(
        "train-amb",
        config,
        data,
        None,
        training={"steps": config.memory.steps if config.needs_autoencoder else 0},
        timings=timings,
        retrieval=memory.facts,
        summary={
            "rows": memory.facts["rows"],
            "trajectories": memory.facts["trajectories"],
            "reconstruction": memory.facts.get("reconstruction"),
            "memory": str(memory_folder(config, data, run.root).relative_to(run.root)),
        },
    )


def _new_autoencoder(config: ReframeConfig, data: TrainingData) -> Autoencoder:
    rngs = nnx.Rngs(jax.random.fold_in(jax.random.key(config.seed), 0))
    return Autoencoder(config.memory, data.observation_dim, data.action_dim, rngs=rngs)


def _errors(autoencoder: Autoencoder, data: TrainingData) -> dict[str, dict[str, float] | None]:
    def measure(table: StepTable | None) -> dict[str, float] | None:
        if table is None:
            return None
        errors = reconstruction_errors(autoencoder, triplets_of(table))
        return {name: float(error) for name, error in errors.items()}

    return {"own": measure(data.experts), "held_out": measure(data.held_out)}
