"""Stage 2's policy: any backbone, a query into the frozen memory, a lookup and a correction."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, PRNGKeyArray

from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.reframe.amb import AssociativeMemoryBuffer
from retrieve_rl.reframe.backbone import last_step, make_backbone
from retrieve_rl.reframe.config import ReframeConfig, RetrievalConfig
from retrieve_rl.reframe.correction import Add, Correction, Gate, Recalled, Replace
from retrieve_rl.reframe.recall import HiddenGroups, search
from retrieve_rl.reframe.windows import Window
from retrieve_rl.retrieval.neighbors import Neighbors, gather
from retrieve_rl.types import Array


class Uncorrected(NamedTuple):
    """What there is to know of each step before the memory is asked.

    Attributes:
      actions: the backbone's own.
      features: the backbone's.
      observations: standardized.
    """

    actions: Float[Array, "B T A"]
    features: Float[Array, "B T H"]
    observations: Float[Array, "B T O"]


class PolicyOutput(NamedTuple):
    """The policy's answer at each step.

    Attributes:
      actions: corrected by the memory where it answered, else the backbone's own, bit for bit.
      backbone_actions: what the backbone alone says.
      gate: how far the correction opened, 0 where the memory did not answer.
      closeness: exp(-d / scale) of the first neighbor, which is the nearest unless they are random;
        0 where there was none.
    """

    actions: Float[Array, "B T A"]
    backbone_actions: Float[Array, "B T A"]
    gate: Float[Array, "B T"]
    closeness: Float[Array, "B T"]


class ReframePolicy(nnx.Module):
    """A backbone and, unless the arm has no memory, the parts that correct it."""

    def __init__(
        self, config: ReframeConfig, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None:
        self.backbone = make_backbone(config, observation_dim, action_dim, rngs=rngs)
        if not config.retrieves:
            return
        forms: dict[str, type[Correction]] = {"add": Add, "gate": Gate, "replace": Replace}
        form = forms[config.retrieval.correction]
        feature_dim = self.backbone.feature_dim
        self.correction = form(feature_dim, observation_dim, action_dim, rngs=rngs)
        if config.retrieval.query == "learned":
            self.query = nnx.Linear(feature_dim, config.memory.latent_dim, rngs=rngs)

    def read(self, window: Window, dropout: DropoutStream) -> Uncorrected:
        """The backbone's view of every step of the windows."""
        output = self.backbone(window, dropout)
        return Uncorrected(output.actions, output.features, window.observations)

    def read_last(self, window: Window) -> Uncorrected:
        """The backbone's view of the last step of the windows, without dropout: [B, 1, ...]."""
        output = last_step(self.backbone, window)
        return Uncorrected(output.actions, output.features, window.observations[:, -1:])

    def correct(
        self,
        config: RetrievalConfig,
        steps: Uncorrected,
        memory: AssociativeMemoryBuffer,
        neighbors: Neighbors,
    ) -> PolicyOutput:
        """Corrects the backbone's actions by the given neighbors [B, T, K] (frozen queries)."""
        return self._apply(steps, lookup(config, memory, neighbors, steps.observations))

    def correct_by_learned_query(
        self,
        config: RetrievalConfig,
        steps: Uncorrected,
        memory: AssociativeMemoryBuffer,
        hidden: HiddenGroups | None,
        rng_key: PRNGKeyArray,
    ) -> PolicyOutput:
        """Makes the query from the backbone's features and searches for every step.

        The choice of neighbors has no gradient; their weights, which depend on the distances to
        the query, do.
        """
        queries = self.query(steps.features)  # [B, T, D]
        flat = jax.lax.stop_gradient(queries.reshape(-1, queries.shape[-1]))
        found = search(config, memory, flat, hidden, rng_key)
        indices = found.indices.reshape(*queries.shape[:-1], config.num_neighbors)
        keys = gather(memory.keys, Neighbors(indices, indices))  # [B, T, K, D]
        distances = jnp.sum((queries[..., None, :] - keys) ** 2, axis=-1)
        neighbors = Neighbors(indices, distances)
        return self._apply(steps, lookup(config, memory, neighbors, steps.observations))

    def _apply(self, steps: Uncorrected, recalled: Recalled) -> PolicyOutput:
        corrected = self.correction(steps.features, steps.actions, recalled)
        return PolicyOutput(
            jnp.where(recalled.present[..., None], corrected.actions, steps.actions),
            steps.actions,
            jnp.where(recalled.present, corrected.gate, 0.0),
            recalled.closeness,
        )


def uncorrected_output(steps: Uncorrected) -> PolicyOutput:
    """The answer of a policy without a memory."""
    nothing = jnp.zeros(steps.actions.shape[:-1])
    return PolicyOutput(steps.actions, steps.actions, nothing, nothing)


def lookup(
    config: RetrievalConfig,
    memory: AssociativeMemoryBuffer,
    neighbors: Neighbors,
    observations: Float[Array, "*B O"],
) -> Recalled:
    """Makes one answer of K neighbors.

    `nearest` (the paper's wording: "the nearest expert embedding") takes the first; so that a
    learned query gets a gradient all the same, its backward pass is that of `soft`. `soft` (ours)
    weights the neighbors by a softmax of -d / scale, the scale being the memory's own.
    """
    present = neighbors.indices >= 0
    relative = jnp.where(present, neighbors.distances, 0.0) / memory.distance_scale
    candidates = gather(memory.actions, neighbors)  # [*B, K, A]
    logits = jnp.where(present, -relative, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(logits, axis=-1)
    if config.lookup == "nearest":
        first = jnp.zeros_like(weights).at[..., 0].set(1.0)
        weights = first + weights - jax.lax.stop_gradient(weights)
    return Recalled(
        actions=jnp.sum(weights[..., None] * candidates, axis=-2),
        closeness=jnp.where(present[..., 0], jnp.exp(-relative[..., 0]), 0.0),
        present=present[..., 0],
        observations=jnp.clip((observations - memory.center) / memory.spread, -5.0, 5.0),
    )
