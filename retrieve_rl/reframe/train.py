"""The story of a policy's training: data, memory, neighbors, steps, evaluation."""

import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Bool, Int, PRNGKeyArray

from retrieve_rl.errors import UsageError
from retrieve_rl.reframe import memory as memories
from retrieve_rl.reframe.amb import AssociativeMemoryBuffer, Autoencoder
from retrieve_rl.reframe.backbone import backbone_class
from retrieve_rl.reframe.config import ReframeConfig, RetrievalConfig, config_hash
from retrieve_rl.reframe.data import TrainingData, load_training_data
from retrieve_rl.reframe.evaluate import evaluate_policy
from retrieve_rl.reframe.losses import Batch, policy_loss, step_weights
from retrieve_rl.reframe.memory import Memory
from retrieve_rl.reframe.policy import (
    TrainedPolicy,
    count_parameters,
    make_optimizer,
    new_policy,
)
from retrieve_rl.reframe.recall import (
    HiddenGroups,
    draw,
    hide_own_trajectory,
    recall_table,
    state_queries,
)
from retrieve_rl.reframe.report import make_result
from retrieve_rl.reframe.rollout import check_environment
from retrieve_rl.reframe.windows import (
    Counts,
    StepTable,
    Window,
    concatenate,
    gather_window,
    sample_rows,
    window_rows,
)
from retrieve_rl.results import Run, RunResult
from retrieve_rl.retrieval.neighbors import NO_GROUP, Neighbors
from retrieve_rl.training import checkpoints
from retrieve_rl.training.run_loop import restore, train_in_run
from retrieve_rl.training.sharding import check_divides, mesh_of, replicated
from retrieve_rl.training.slices import num_slices
from retrieve_rl.training.spent import spent
from retrieve_rl.training.state import Metrics, TrainState, init_state, train_steps
from retrieve_rl.types import Array

_STEPS_AT_ONCE = 25
_STEPS_IN_SLICE = 320
"""Environment steps: a transformer's 960 tokens, whose 512 hidden units make 2 MB."""


class TrainInputs(NamedTuple):
    """Arrays that every train step reads and none changes.

    Attributes:
      table: the data set's steps, then the experts'.
      memory: the frozen buffer; None in an arm without one.
      autoencoder: of the memory, where neighbors are drawn and it makes the queries.
      neighbors: [S, K] for every row of the table, where the query is frozen and finds the nearest.
      hidden: what is hidden from every row of the table.
    """

    table: StepTable
    memory: AssociativeMemoryBuffer | None
    autoencoder: Autoencoder | None
    neighbors: Neighbors | None
    hidden: HiddenGroups | None


def counts_of(data: TrainingData) -> Counts:
    """The rows of the table that `make_inputs` joins."""
    return Counts(data.data.num_steps, data.experts.num_steps)


def make_inputs(
    config: ReframeConfig, data: TrainingData, memory: Memory | None, run: Run
) -> TrainInputs:
    """Joins the tables and, for a frozen query, finds the nearest of every row once.

    Raises:
      UsageError: the whole memory is hidden from an expert step that is to teach the correction.
    """
    taught, in_memory = data.experts, data.experts.trajectories
    table = concatenate([data.data, taught])
    if memory is None:
        return TrainInputs(table, None, None, None, None)
    if config.retrieval.learns_on == "all":
        taught = table
        in_memory = np.concatenate([np.full(data.data.num_steps, -1, np.int32), in_memory])
    hidden = hide_own_trajectory(
        memory.buffer, in_memory, taught.timesteps, config.retrieval.hidden_segment
    )
    if config.retrieval.learns_on == "experts" and config.train.steps > 0:
        check_teachers(hidden, config.retrieval.hidden_segment)
    neighbors = None
    if config.retrieval.found_before_training and config.train.steps > 0:
        neighbors = recall_table(
            config.retrieval,
            memory.buffer,
            memory.autoencoder,
            taught,
            hidden,
            run.reporter,
            run.stop,
        )
    autoencoder = memory.autoencoder if config.retrieval.source == "random" else None
    return TrainInputs(table, memory.buffer, autoencoder, neighbors, hidden)


def check_teachers(hidden: HiddenGroups, segment: int) -> None:
    """Refuses an only expert episode so short that all of it is hidden from some of its steps.

    Raises:
      UsageError: with the length of the episode.
    """
    unseen = int(np.sum(sees_nothing(hidden)))
    if unseen:
        length = len(hidden.key_groups)
        raise UsageError(
            f"retrieval.hidden_segment = {segment} hides the only expert episode, of {length}"
            f" steps, from {unseen} of its own steps, which then cannot teach the correction:"
            " lower it to a quarter of the length, or raise data.num_experts"
        )


def sees_nothing(hidden: HiddenGroups) -> Bool[np.ndarray, " S"]:
    """Whether every row of the memory is hidden from a query."""
    not_from = np.asarray(hidden.not_from)
    rows = np.bincount(hidden.key_groups, minlength=int(not_from.max()) + 1)
    hides = np.where(not_from == NO_GROUP, 0, rows[not_from])
    return hides.sum(axis=1) == rows.sum()


def sample_batch(
    config: ReframeConfig, counts: Counts, inputs: TrainInputs, rng_key: PRNGKeyArray
) -> Batch:
    """Windows of the data set and, at `data.expert_share`, of the experts, with their neighbors."""
    table, experts = inputs.table, config.experts_in_batch
    batch = Counts(data=config.train.batch_size - experts, experts=experts)
    data_key, expert_key, neighbor_key = jax.random.split(rng_key, 3)
    last_rows = sample_rows((data_key, expert_key), counts, batch)
    rows, mask = window_rows(table, last_rows, config.train.context_len)
    window = gather_window(table, rows, mask)
    if inputs.memory is not None and config.retrieval.learns_on == "experts":
        rows = jnp.maximum(rows[:experts] - counts.data, 0)
    taught = rows.shape[0]
    neighbors, not_from = None, None
    if inputs.neighbors is not None:
        neighbors = Neighbors(*(part[rows] for part in inputs.neighbors))
    elif inputs.hidden is not None:
        not_from = inputs.hidden.not_from[rows]
        if config.retrieval.query != "learned":
            asked = jax.tree.map(lambda part: part[:taught], window)
            neighbors = draw_neighbors(config.retrieval, inputs, asked, not_from, neighbor_key)
    return Batch(
        window,
        weights=step_weights(mask),
        taught_weights=step_weights(mask[:taught]),
        examples=jnp.arange(config.train.batch_size),
        neighbors=neighbors,
        not_from=not_from,
    )


def draw_neighbors(
    config: RetrievalConfig,
    inputs: TrainInputs,
    window: Window,
    not_from: Int[Array, "B T G"],
    rng_key: PRNGKeyArray,
) -> Neighbors:
    """Random neighbors [B, T, K] of every step, for a frozen query.

    Drawn once for the whole training they could be learned by heart.
    """
    assert inputs.memory is not None and inputs.hidden is not None
    queries = state_queries(config, inputs.autoencoder, window.returns_to_go, window.observations)
    steps = window.mask.shape
    found = draw(
        inputs.memory,
        queries.reshape(-1, queries.shape[-1]),
        config.num_neighbors,
        inputs.hidden._replace(not_from=not_from.reshape(-1, not_from.shape[-1])),
        rng_key,
    )
    return Neighbors(*(part.reshape(*steps, config.num_neighbors) for part in found))


@partial(jax.jit, static_argnames=("config", "graphdef", "counts", "num_steps", "mesh"))
def stage_2_steps(
    config: ReframeConfig,
    graphdef: nnx.GraphDef,
    counts: Counts,
    num_steps: int,
    state: TrainState,
    inputs: TrainInputs,
    rng_key: PRNGKeyArray,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """Takes `num_steps` training steps, each with a batch of its own."""
    key_groups = inputs.hidden.key_groups if inputs.hidden is not None else None
    return train_steps(
        state,
        rng_key,
        num_steps=num_steps,
        sample_fn=partial(sample_batch, config, counts, inputs),
        loss_fn=partial(policy_loss, config, graphdef, key_groups, inputs.memory),
        optimizer=make_optimizer(config),
        num_slices=_num_slices(config, inputs, mesh),
        mesh=mesh,
    )


def _num_slices(config: ReframeConfig, inputs: TrainInputs, mesh: Mesh | None) -> int:
    if config.retrieval.query == "learned" and config.retrieval.source == "random":
        return 1  # Slices would draw the same neighbors.
    windows = -(-_STEPS_IN_SLICE // config.train.context_len)
    devices = mesh.size if mesh else 1
    sizes = (config.train.batch_size, config.experts_in_batch)
    return num_slices(*sizes, at_least=windows, num_devices=devices)


def fit(
    config: ReframeConfig,
    data: TrainingData,
    memory: Memory | None,
    run: Run,
) -> tuple[TrainedPolicy, dict[str, float]]:
    """Trains for `train.steps` steps from the newest checkpoint; returns the last metrics too.

    Raises:
      DataError: the newest checkpoint was trained on other data.
      NonFiniteLossError: the last good checkpoint is kept.
      Interrupted: a signal came; the state was saved.
    """
    graphdef, params = nnx.split(new_policy(config, data.observation_dim, data.action_dim))
    fresh = init_state(params, make_optimizer(config))
    start, metrics = restore(run, fresh, _made_from(data, memory))
    if int(start.step) >= config.train.steps:
        if config.train.steps == 0:
            save(config, data, memory, run.folder, start, metrics)
        return TrainedPolicy(config, graphdef, start.params, memory), metrics
    mesh = mesh_of(run.devices)
    inputs = make_inputs(config, data, memory, run)
    start, inputs = replicated((start, inputs), mesh)
    counts = counts_of(data)
    rng_key = jax.random.fold_in(jax.random.key(config.seed), 5)

    def step_fn(state: TrainState, num_steps: int) -> tuple[TrainState, Metrics]:
        return stage_2_steps(config, graphdef, counts, num_steps, state, inputs, rng_key, mesh)

    state, metrics = train_in_run(
        run,
        start,
        metrics,
        title="training",
        total_steps=config.train.steps,
        steps_at_once=_STEPS_AT_ONCE,
        checkpoint_every=config.train.checkpoint_every,
        step_fn=step_fn,
        rate_key="optimizer.learning_rate",
        save=partial(save, config, data, memory, run.folder),
    )
    return TrainedPolicy(config, graphdef, state.params, memory), metrics


def save(
    config: ReframeConfig,
    data: TrainingData,
    memory: Memory | None,
    folder: Path,
    state: TrainState,
    metrics: dict[str, float],
) -> None:
    """Writes a checkpoint: parameters, optimizer, step, seed, normalizer and config."""
    metadata = {
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "normalizer": {name: part.tolist() for name, part in data.normalizer._asdict().items()},
        "metrics": metrics,
    }
    checkpoints.save_checkpoint(
        folder / "checkpoints",
        int(state.step),
        state,
        made_from=_made_from(data, memory),
        metadata=metadata,
    )


def _made_from(data: TrainingData, memory: Memory | None) -> dict[str, str]:
    made_from = {name: data.inputs[name]["sha256"] for name in ("dataset", "experts")}
    if memory is not None:
        made_from["memory"] = memory.facts["sha256"]
    return made_from


def train_policy(config: ReframeConfig, run: Run) -> RunResult:
    """Entry point of `rrl train-policy`: ends with an evaluation of the last checkpoint.

    Raises:
      UsageError: a batch cannot be cut for the run's devices, or there is no such backbone.
    """
    check_divides(run.devices, config.train.batch_size)
    backbone_class(config.backbone)  # before data are made for nothing
    # Of the code that trains, also where a backbone of the user's own is edited meanwhile.
    hash_at_start = config_hash(config)
    began = time.perf_counter()
    data = load_training_data(config, run.reporter, run.stop)
    check_environment(data.env_id, data.observation_dim, data.action_dim)
    memory = memories.make_or_open(config, data, run) if config.retrieves else None
    prepared = time.perf_counter()
    policy, metrics = fit(config, data, memory, run)
    took = spent(run.folder)
    evaluation = evaluate_policy(policy, data, run)
    training = {
        "steps": config.train.steps,
        "parameters": count_parameters(policy.params),
        "last_metrics": metrics,
        **checkpoints.trained_facts(run.folder / "checkpoints", config.train.steps),
    }
    timings = {"prepare_seconds": prepared - began, "train_seconds": took.seconds}
    result = make_result(
        "train-policy", config, data, evaluation, training=training, timings=timings
    )
    result.device["trained_on"] = took.devices
    return result.model_copy(update={"config_hash": hash_at_start})
