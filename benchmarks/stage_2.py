"""Training steps of Re:Frame's second stage over a made-up data set, experts and memory.

The numbers are random: what a step costs does not depend on them.
"""

from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from retrieve_rl.reframe.amb import AssociativeMemoryBuffer
from retrieve_rl.reframe.config import ReframeConfig
from retrieve_rl.reframe.policy import make_optimizer, new_policy
from retrieve_rl.reframe.recall import hide_own_trajectory
from retrieve_rl.reframe.train import TrainInputs, stage_2_steps
from retrieve_rl.reframe.windows import Counts, StepTable
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.training.state import init_state

OBSERVATION_DIM, ACTION_DIM = 11, 3
DATA_STEPS, EPISODE_STEPS = 100_000, 1000
STEPS_IN_SCAN = 20


def training(config: ReframeConfig, num_latents: int) -> Callable[[], None]:
    """A function that takes STEPS_IN_SCAN steps; compiled when it is first called.

    Args:
      num_latents: of the memory, which is that of the expert steps; unused without a memory.
    """
    inputs = jax.device_put(_inputs(config, num_latents))
    counts = Counts(DATA_STEPS, num_latents)
    graphdef, params = nnx.split(new_policy(config, OBSERVATION_DIM, ACTION_DIM))
    state = init_state(params, make_optimizer(config))
    rng_key = jax.random.key(0)

    def run() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(
            stage_2_steps(config, graphdef, counts, STEPS_IN_SCAN, state, inputs, rng_key)
        )

    return run


def _inputs(config: ReframeConfig, num_latents: int) -> TrainInputs:
    rng = np.random.default_rng(0)
    table = _table(rng, DATA_STEPS + num_latents)
    if not config.retrieves:
        return TrainInputs(table, None, None, None, None)
    memory = _memory(rng, config.memory.latent_dim, num_latents)
    hidden = hide_own_trajectory(
        memory, memory.trajectories, memory.timesteps, config.retrieval.hidden_segment
    )
    if config.retrieval.query == "learned":
        return TrainInputs(table, memory, None, None, hidden)
    shape = (num_latents, config.retrieval.num_neighbors)
    distances = np.sort(rng.random(shape, np.float32), axis=1)
    found = Neighbors(rng.integers(0, num_latents, shape, np.int32), distances)
    return TrainInputs(table, memory, None, found, hidden)


def _table(rng: np.random.Generator, steps: int) -> StepTable:
    number = np.arange(steps, dtype=np.int32)
    return StepTable(
        observations=rng.standard_normal((steps, OBSERVATION_DIM), np.float32),
        actions=2 * rng.random((steps, ACTION_DIM), np.float32) - 1,
        returns_to_go=rng.random(steps, np.float32),
        timesteps=number % EPISODE_STEPS,
        trajectories=number // EPISODE_STEPS,
    )


def _memory(rng: np.random.Generator, width: int, latents: int) -> AssociativeMemoryBuffer:
    number = np.arange(latents, dtype=np.int32)
    return AssociativeMemoryBuffer(
        keys=rng.standard_normal((latents, width), np.float32),
        actions=2 * rng.random((latents, ACTION_DIM), np.float32) - 1,
        trajectories=number // EPISODE_STEPS,
        timesteps=number % EPISODE_STEPS,
        center=np.zeros(OBSERVATION_DIM, np.float32),
        spread=np.ones(OBSERVATION_DIM, np.float32),
        distance_scale=np.float32(1.0),
    )
