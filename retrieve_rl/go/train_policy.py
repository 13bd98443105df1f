"""The story of a policy's training: index, neighbors, gradient steps, held-out evaluation."""

import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float, PRNGKeyArray

from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.built import Built
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.data import GoData, load_data
from retrieve_rl.go.evaluate_policy import evaluate_policy, make_result
from retrieve_rl.go.index import make_index
from retrieve_rl.go.losses import Batch
from retrieve_rl.go.model import count_parameters
from retrieve_rl.go.neighbor_inputs import RetrievalSet, none_found, retrieval_set
from retrieve_rl.go.policy import TrainedPolicy, optimizer, untrained
from retrieve_rl.go.policy_losses import PolicyBatch, policy_loss, show
from retrieve_rl.go.train_encoder import fit as fit_encoder
from retrieve_rl.go.training_neighbors import (
    TrainingNeighbors,
    distance_scale,
    training_neighbors,
)
from retrieve_rl.results import Run, RunResult
from retrieve_rl.training import checkpoints
from retrieve_rl.training.run_loop import restore, train_in_run
from retrieve_rl.training.sharding import check_divides, mesh_of, replicated
from retrieve_rl.training.slices import num_slices
from retrieve_rl.training.spent import spent
from retrieve_rl.training.state import Metrics, TrainState, train_steps
from retrieve_rl.types import Array

_STEPS_AT_ONCE = 25


class TrainInputs(NamedTuple):
    """Arrays on the device that every train step reads and none changes.

    Attributes:
      known: the positions of training games; they ask, and they are neighbors.
      neighbors: of each of them, [N, K]; None for the baseline.
      distance_scale: the unit of closeness.
    """

    known: RetrievalSet
    neighbors: TurnedNeighbors | None
    distance_scale: Float[Array, ""]


def train_policy(config: GoConfig, run: Run) -> RunResult:
    """Entry point of `rrl train-policy` for Go: ends with a judgment of the last checkpoint.

    Makes the index and the neighbors that it does not find; the baseline needs none.

    Raises:
      UsageError: a batch cannot be cut for the run's devices.
    """
    check_divides(run.devices, config.train.batch_size)
    began = time.perf_counter()
    data = load_data(config, run)
    built, neighbors = None, None
    if config.retrieves:
        encoder = fit_encoder(config, data, run)
        index = make_index(config, data, encoder, run)
        built = Built(data, encoder, index)
        neighbors = training_neighbors(config, data, encoder, index, run)
    prepared = time.perf_counter()
    policy, metrics = fit(config, data, neighbors, run)
    trained, took = time.perf_counter(), spent(run.folder)
    judged = evaluate_policy(policy, data, built, run, thorough=False)
    training = {
        "steps": config.train.steps,
        "parameters": count_parameters(policy.params),
        "distance_scale": policy.distance_scale,
        "last_metrics": metrics,
        **checkpoints.trained_facts(run.folder / "checkpoints", config.train.steps),
    }
    timings = {
        "prepare_seconds": prepared - began,
        "train_seconds": took.seconds,
        "evaluate_seconds": time.perf_counter() - trained,
    }
    result = make_result("train-policy", config, data, judged, training=training, timings=timings)
    result.device["trained_on"] = took.devices
    return result


def fit(
    config: GoConfig, data: GoData, neighbors: TrainingNeighbors | None, run: Run
) -> tuple[TrainedPolicy, dict[str, float]]:
    """Trains for `train.steps` steps from the newest checkpoint; returns the last metrics too.

    Raises:
      NonFiniteLossError: the last good checkpoint is kept.
      Interrupted: a signal came; the state was saved.
    """
    graphdef, fresh = untrained(config)
    start, metrics = restore(run, fresh, _made_from(data, neighbors))
    scale = distance_scale(neighbors.found) if neighbors is not None else 1.0
    if int(start.step) >= config.train.steps:
        return TrainedPolicy(config, graphdef, start.params, scale), metrics
    mesh = mesh_of(run.devices)
    start, inputs = replicated((start, _inputs(config, data, neighbors, scale)), mesh)
    rng_key = jax.random.fold_in(jax.random.key(config.seed), 3)

    def step_fn(state: TrainState, num_steps: int) -> tuple[TrainState, Metrics]:
        return _train_steps(config, graphdef, num_steps, state, inputs, rng_key, mesh)

    def save(state: TrainState, metrics: dict[str, float]) -> None:
        metadata = {"metrics": metrics, "distance_scale": scale}
        _save(config, data, neighbors, run.folder, state, metadata)

    state, metrics = train_in_run(
        run,
        start,
        metrics,
        title="training",
        total_steps=config.train.steps,
        steps_at_once=_STEPS_AT_ONCE,
        checkpoint_every=config.train.checkpoint_every,
        step_fn=step_fn,
        rate_key="train.learning_rate",
        save=save,
    )
    return TrainedPolicy(config, graphdef, state.params, scale), metrics


@partial(jax.jit, static_argnames=("config", "graphdef", "num_steps", "mesh"))
def _train_steps(
    config: GoConfig,
    graphdef: nnx.GraphDef,
    num_steps: int,
    state: TrainState,
    inputs: TrainInputs,
    rng_key: PRNGKeyArray,
    mesh: Mesh | None,
) -> tuple[TrainState, Metrics]:
    return train_steps(
        state,
        rng_key,
        num_steps=num_steps,
        sample_fn=partial(sample_batch, config, inputs),
        show_fn=partial(show, config, inputs.known, inputs.distance_scale),
        loss_fn=partial(policy_loss, config, graphdef),
        optimizer=optimizer(config),
        num_slices=num_slices(config.train.batch_size, num_devices=mesh.size if mesh else 1),
        mesh=mesh,
    )


def sample_batch(config: GoConfig, inputs: TrainInputs, rng_key: PRNGKeyArray) -> PolicyBatch:
    """Positions drawn evenly from those of training games, with their neighbors."""
    known = inputs.known
    batch, count = config.train.batch_size, config.retrieval.num_neighbors
    rows = jax.random.randint(rng_key, (batch,), 0, known.positions.games.shape[0])
    positions = jax.tree.map(lambda column: column[rows], known.positions)
    games = positions.games
    asking = Batch(positions, known.games.komi[games], known.games.outcomes[games])
    if inputs.neighbors is None:
        return PolicyBatch(asking, jax.tree.map(jnp.asarray, none_found(batch, count)))
    return PolicyBatch(asking, TurnedNeighbors(*(part[rows, :count] for part in inputs.neighbors)))


def _inputs(
    config: GoConfig, data: GoData, neighbors: TrainingNeighbors | None, scale: float
) -> TrainInputs:
    found = None
    if neighbors is not None:
        count = config.retrieval.num_neighbors
        found = TurnedNeighbors(*(part[:, :count] for part in neighbors.found))
    return TrainInputs(retrieval_set(data), found, jnp.float32(scale))


def _save(
    config: GoConfig,
    data: GoData,
    neighbors: TrainingNeighbors | None,
    folder: Path,
    state: TrainState,
    metadata: dict[str, Any],
) -> None:
    described = {**metadata, "seed": config.seed, "config": config.model_dump(mode="json")}
    checkpoints.save_checkpoint(
        folder / "checkpoints",
        int(state.step),
        state,
        made_from=_made_from(data, neighbors),
        metadata=described,
    )


def _made_from(data: GoData, neighbors: TrainingNeighbors | None) -> dict[str, str]:
    made_from = {"store": data.store.manifest.digest}
    if neighbors is not None:
        made_from["neighbors"] = neighbors.digest
    return made_from
