"""The loss of the semi-parametric model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, PRNGKeyArray

from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.losses import Batch
from retrieve_rl.go.model import represent
from retrieve_rl.go.neighbor_inputs import (
    NeighborInputs,
    RetrievalSet,
    neighbor_inputs,
    no_neighbors,
)
from retrieve_rl.go.planes import observation_planes
from retrieve_rl.go.regularizers import drop, pull, randomize
from retrieve_rl.go.symmetries import NUM_SYMMETRIES
from retrieve_rl.go.unroll import UnrollErrors, UnrollTargets, unroll, unroll_errors, unroll_targets
from retrieve_rl.training.state import Metrics, Params
from retrieve_rl.types import Array


class PolicyBatch(NamedTuple):
    """Positions, what is known of their games, and where their neighbors lie.

    Attributes:
      asking: B positions that ask.
      neighbors: rows of the retrieval set, [B, N].
    """

    asking: Batch
    neighbors: TurnedNeighbors


def policy_loss(
    config: GoConfig,
    graphdef: nnx.GraphDef,
    known: RetrievalSet,
    distance_scale: Float[Array, ""],
    params: Params,
    batch: PolicyBatch,
    rng_key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Metrics]:
    """K+1 cross-entropies and K+1 weighted value errors, summed (Humphreys et al. 2022).

    Each position is shown in a random orientation, its neighbors with it. A term is the mean over
    the batch, in which what lies past the end of a game counts as 0.
    """
    keys = jax.random.split(rng_key, 3)
    symmetries = jax.random.randint(keys[0], batch.asking.komi.shape, 0, NUM_SYMMETRIES)
    observation = observation_planes(batch.asking.positions, batch.asking.komi, symmetries)
    neighbors = neighbor_inputs(known, batch.neighbors, symmetries, distance_scale)
    neighbors = randomize(neighbors, config.retrieval.randomization, keys[1])
    neighbors = drop(neighbors, config.retrieval.dropout, keys[2])
    embedding = represent(graphdef, params, observation, neighbors)
    targets = unroll_targets(batch.asking, symmetries, config.model.unroll_steps)
    said = unroll(graphdef, params, embedding, targets.moves[:, :-1])
    errors = unroll_errors(said, targets)
    terms = errors.cross_entropy + config.train.value_weight * errors.value_error
    loss = jnp.sum(jnp.mean(terms, axis=0))
    metrics = _metrics(errors, targets)
    if config.retrieval.regularization > 0.0:
        without = represent(graphdef, params, observation, _without(neighbors))
        metrics["pull"] = pull(embedding, without)
        loss += config.retrieval.regularization * metrics["pull"]
    return loss, metrics


def _without(neighbors: NeighborInputs) -> NeighborInputs:
    return no_neighbors(*neighbors.closeness.shape)


def _metrics(errors: UnrollErrors, targets: UnrollTargets) -> Metrics:
    """Means over what is there: of the position itself and, as `_unrolled`, after K moves."""
    named: Metrics = {}
    for step, suffix in ((0, ""), (-1, "_unrolled")):
        num_moves = jnp.maximum(jnp.sum(targets.has_move[:, step]), 1)
        num_reached = jnp.maximum(jnp.sum(targets.reached[:, step]), 1)
        named |= {
            f"cross_entropy{suffix}": jnp.sum(errors.cross_entropy[:, step]) / num_moves,
            f"top1{suffix}": jnp.sum(errors.hit[:, step]) / num_moves,
            f"value_error{suffix}": jnp.sum(errors.value_error[:, step]) / num_reached,
        }
    return named
