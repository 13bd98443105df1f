"""A trained policy ready to act or to be measured: its module, its memory, one jitted answer."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import optax
from flax import nnx
from jaxtyping import PRNGKeyArray

from retrieve_rl.reframe.amb import AssociativeMemoryBuffer, Autoencoder
from retrieve_rl.reframe.config import ReframeConfig, RetrievalConfig
from retrieve_rl.reframe.memory import Memory
from retrieve_rl.reframe.model import (
    PolicyOutput,
    ReframePolicy,
    uncorrected_output,
)
from retrieve_rl.reframe.recall import search, state_queries
from retrieve_rl.reframe.windows import Window
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.training.state import Params, adamw

MemoryUse = Literal["neighbors", "random"]


@dataclass(frozen=True)
class TrainedPolicy:
    """What acting needs. `memory` is None in an arm without one."""

    config: ReframeConfig
    graphdef: nnx.GraphDef
    params: Params
    memory: Memory | None

    def answer(
        self, window: Window, rng_key: PRNGKeyArray, source: MemoryUse | None = None
    ) -> PolicyOutput:
        """The policy's output at the last step of each window: arrays [B, 1, ...].

        `source` replaces the arm's own `retrieval.source`, to ask what the same policy does with
        random neighbors.
        """
        retrieval = self.config.retrieval
        if source is not None and self.memory is not None:
            retrieval = retrieval.model_copy(update={"source": source})
        if self.memory is None or retrieval.source == "none":
            return _answer_without(self.graphdef, self.params, window)
        return _answer(
            retrieval,
            self.graphdef,
            self.params,
            self.memory.buffer,
            self.memory.autoencoder,
            window,
            rng_key,
        )


def new_policy(config: ReframeConfig, observation_dim: int, action_dim: int) -> ReframePolicy:
    """An untrained policy, its parameters drawn by the seed."""
    rngs = nnx.Rngs(jax.random.fold_in(jax.random.key(config.seed), 2))
    return ReframePolicy(config, observation_dim, action_dim, rngs=rngs)


def make_optimizer(config: ReframeConfig) -> optax.GradientTransformation:
    return adamw(
        config.optimizer.learning_rate,
        warmup_steps=round(config.optimizer.warmup_fraction * config.train.steps),
        total_steps=config.train.steps,
        weight_decay=config.optimizer.weight_decay,
        clip_norm=config.optimizer.clip_norm,
    )


@partial(jax.jit, static_argnames="graphdef")
def _answer_without(graphdef: nnx.GraphDef, params: Params, window: Window) -> PolicyOutput:
    policy: ReframePolicy = nnx.merge(graphdef, params)
    return uncorrected_output(policy.read_last(window))


@partial(jax.jit, static_argnames=("retrieval", "graphdef"))
def _answer(
    retrieval: RetrievalConfig,
    graphdef: nnx.GraphDef,
    params: Params,
    buffer: AssociativeMemoryBuffer,
    autoencoder: Autoencoder | None,
    window: Window,
    rng_key: PRNGKeyArray,
) -> PolicyOutput:
    policy: ReframePolicy = nnx.merge(graphdef, params)
    steps = policy.read_last(window)
    if retrieval.query == "learned":
        return policy.correct_by_learned_query(retrieval, steps, buffer, None, rng_key)
    queries = state_queries(
        retrieval, autoencoder, window.returns_to_go[:, -1], window.observations[:, -1]
    )
    found = search(retrieval, buffer, queries, None, rng_key)
    neighbors = Neighbors(found.indices[:, None], found.distances[:, None])
    return policy.correct(retrieval, steps, buffer, neighbors)


def count_parameters(params: Params) -> int:
    return sum(leaf.size for leaf in jax.tree_util.tree_leaves(params))
