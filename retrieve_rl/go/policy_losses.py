"""The loss of the semi-parametric model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, PRNGKeyArray

from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.losses import Batch, present_weights
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


class ShownBatch(NamedTuple):
    """What the loss reads of B positions, each in an orientation of its own.

    Attributes:
      observation: `OBSERVATION_PLANES`.
      neighbors: in the orientation of the position that asks.
      move_weights, value_weights: of the targets, see `present_weights`.
    """

    observation: Float[Array, "B 9 9 C"]
    neighbors: NeighborInputs
    targets: UnrollTargets
    move_weights: Float[Array, "B K+1"]
    value_weights: Float[Array, "B K+1"]


def show(
    config: GoConfig,
    known: RetrievalSet,
    distance_scale: Float[Array, ""],
    batch: PolicyBatch,
    rng_key: PRNGKeyArray,
) -> ShownBatch:
    """Each position in a random orientation, its neighbors with it, some randomized or dropped."""
    keys = jax.random.split(rng_key, 3)
    symmetries = jax.random.randint(keys[0], batch.asking.komi.shape, 0, NUM_SYMMETRIES)
    neighbors = neighbor_inputs(known, batch.neighbors, symmetries, distance_scale)
    neighbors = randomize(neighbors, config.retrieval.randomization, keys[1])
    targets = unroll_targets(batch.asking, symmetries, config.model.unroll_steps)
    return ShownBatch(
        observation_planes(batch.asking.positions, batch.asking.komi, symmetries),
        drop(neighbors, config.retrieval.dropout, keys[2]),
        targets,
        present_weights(targets.has_move),
        present_weights(targets.reached),
    )


def policy_loss(
    config: GoConfig,
    graphdef: nnx.GraphDef,
    params: Params,
    shown: ShownBatch,
    rng_key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Metrics]:
    """K+1 cross-entropies and K+1 weighted value errors, summed (Humphreys et al. 2022).

    A term is the mean over the batch, in which what lies past the end of a game counts as 0. Draws
    nothing.
    """
    del rng_key
    embedding = represent(graphdef, params, shown.observation, shown.neighbors)
    said = unroll(graphdef, params, embedding, shown.targets.moves[:, :-1])
    errors = unroll_errors(said, shown.targets)
    terms = errors.cross_entropy + config.train.value_weight * errors.value_error
    loss = jnp.sum(jnp.mean(terms, axis=0))
    metrics = _metrics(errors, shown)
    if config.retrieval.regularization > 0.0:
        nothing = no_neighbors(*shown.neighbors.closeness.shape)
        without = represent(graphdef, params, shown.observation, nothing)
        metrics["pull"] = pull(embedding, without)
        loss += config.retrieval.regularization * metrics["pull"]
    return loss, metrics


def _metrics(errors: UnrollErrors, shown: ShownBatch) -> Metrics:
    """Means over what is there: of the position itself and, as `_unrolled`, after K moves."""
    of_moves, of_values = shown.move_weights, shown.value_weights
    named: Metrics = {}
    for step, suffix in ((0, ""), (-1, "_unrolled")):
        named |= {
            f"cross_entropy{suffix}": jnp.mean((of_moves * errors.cross_entropy)[:, step]),
            f"top1{suffix}": jnp.mean((of_moves * errors.hit)[:, step]),
            f"value_error{suffix}": jnp.mean((of_values * errors.value_error)[:, step]),
        }
    return named
