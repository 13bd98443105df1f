"""What stage 2 minimizes.

The paper trains on suboptimal data and leaves the loss open; as in Decision Transformer it is the
squared error of the action. Trained on suboptimal actions alone (`data.expert_share = 0` and
`retrieval.learns_on = "all"`, the literal reading) a correction learns to cancel the expert. Ours
takes windows of the expert episodes, each with its own episode hidden from the memory, and teaches
the correction on those alone; the backbone gets the gradient that it would without a memory, of the
whole batch, which may hold the data too. Its steps are still not quite those: `optimizer.clip_norm`
bounds the norm of both gradients together.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.reframe.amb import AssociativeMemoryBuffer
from retrieve_rl.reframe.config import ReframeConfig
from retrieve_rl.reframe.model import ReframePolicy
from retrieve_rl.reframe.recall import HiddenGroups
from retrieve_rl.reframe.windows import Window
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.training.state import Metrics, Params
from retrieve_rl.types import Array


class Batch(NamedTuple):
    """Windows, those of experts first, and what the memory may tell the steps it teaches.

    Attributes:
      window: [B, T, ...].
      weights: of the steps' errors, see `step_weights`.
      taught_weights: the same among the first B' windows, which teach the correction.
      examples: the windows' numbers in the batch, which decide what dropout drops.
      neighbors: [B', T, K] for the taught windows where the query is frozen, else None.
      not_from: [B', T, G], the groups hidden from each step where neighbors are not those found
        before the training, else None.
    """

    window: Window
    weights: Float[Array, "B T"]
    taught_weights: Float[Array, "B' T"]
    examples: Int[Array, " B"]
    neighbors: Neighbors | None
    not_from: Int[Array, "B' T G"] | None


def step_weights(mask: Bool[Array, "B T"]) -> Float[Array, "B T"]:
    """Weights that make a mean over windows of the sum over their steps a mean over the real steps;
    padded steps count nowhere."""
    return mask * (mask.shape[0] / jnp.maximum(jnp.sum(mask), 1))


def weighted_mean(values: Float[Array, "B T"], weights: Float[Array, "B T"]) -> Float[Array, ""]:
    """Of all the windows or, where the weights are a part of theirs, of that part."""
    return jnp.sum(values * weights) / weights.shape[0]


def squared_error(
    predicted: Float[Array, "B T A"], actions: Float[Array, "B T A"], weights: Float[Array, "B T"]
) -> Float[Array, ""]:
    """Mean over the action dimensions, weighted over the steps."""
    return weighted_mean(jnp.mean((predicted - actions) ** 2, axis=-1), weights)


def policy_loss(
    config: ReframeConfig,
    graphdef: nnx.GraphDef,
    key_groups: Int[Array, " N"] | None,
    memory: AssociativeMemoryBuffer | None,
    params: Params,
    batch: Batch,
    rng_key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Metrics]:
    """Squared error of the policy's actions; the memory gets no gradient.

    Where the experts alone teach the correction, the loss is the backbone's error over the whole
    batch plus the corrected action's error over the expert windows, and no gradient of the latter
    reaches the backbone. Otherwise it is the corrected action's error over the whole batch.

    Args:
      key_groups: of the memory's rows; None where nothing is hidden from a search in the step.
    """
    dropout_key, search_key = jax.random.split(rng_key)
    policy: ReframePolicy = nnx.merge(graphdef, params)
    window = batch.window
    steps = policy.read(window, DropoutStream(dropout_key, batch.examples))
    backbone_error = squared_error(steps.actions, window.actions, batch.weights)
    if memory is None:
        return backbone_error, {"backbone_error": backbone_error}
    apart = config.retrieval.learns_on == "experts"
    if apart:
        taught = slice(batch.taught_weights.shape[0])
        steps, window = jax.tree.map(lambda part: part[taught], (steps, window))
        steps = jax.lax.stop_gradient(steps)
    frozen = jax.lax.stop_gradient(memory)
    if batch.neighbors is None:
        hidden = _hidden(key_groups, batch.not_from)
        output = policy.correct_by_learned_query(
            config.retrieval, steps, frozen, hidden, search_key
        )
    else:
        output = policy.correct(config.retrieval, steps, frozen, batch.neighbors)
    error = squared_error(output.actions, window.actions, batch.taught_weights)
    mean_gate = weighted_mean(output.gate, batch.taught_weights)
    metrics = {"backbone_error": backbone_error, "corrected_error": error, "gate": mean_gate}
    return error + backbone_error if apart else error, metrics


def _hidden(
    key_groups: Int[Array, " N"] | None, not_from: Int[Array, "B T G"] | None
) -> HiddenGroups | None:
    if key_groups is None or not_from is None:
        return None
    return HiddenGroups(key_groups, not_from.reshape(-1, not_from.shape[-1]))
