"""The encoder's losses and how far its predictions are off."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Bool, Float, Integer, PRNGKeyArray

from retrieve_rl.go.encoder import Encoder
from retrieve_rl.go.planes import move_targets, observation_planes, value_targets
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.symmetries import NUM_SYMMETRIES
from retrieve_rl.training.state import Metrics, Params
from retrieve_rl.types import Array


class Batch(NamedTuple):
    """Positions with what is known of their games.

    Attributes:
      positions: B rows.
      komi: points given to White.
      outcomes: 1 Black won, 0 draw, -1 White won.
    """

    positions: Positions
    komi: Float[Array, " B"]
    outcomes: Integer[Array, " B"]


class Targets(NamedTuple):
    """What the encoder should have said of B positions.

    Attributes:
      moves: the move played, 0 where there is none.
      has_move: False beyond the end of a game.
      values: the outcome as the player to move sees it; a draw is 0.
    """

    moves: Integer[Array, " B"]
    has_move: Bool[Array, " B"]
    values: Float[Array, " B"]


class ShownPositions(NamedTuple):
    """What the encoder's loss reads of B positions, each in an orientation of its own.

    Attributes:
      planes: `OBSERVATION_PLANES`.
      move_weights: of the targets' moves, see `present_weights`.
    """

    planes: Float[Array, "B 9 9 C"]
    targets: Targets
    move_weights: Float[Array, " B"]


def present_weights(present: Bool[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Weights that make a mean over the batch, or its equal parts, a mean over what is there."""
    count = jnp.maximum(jnp.sum(present, axis=0), 1)
    return present * (len(present) / count)


def targets_of(batch: Batch, symmetries: Integer[Array, " B"]) -> Targets:
    """The targets of the batch, each position turned by its symmetry."""
    moves, has_move = move_targets(batch.positions, symmetries)
    values = value_targets(batch.positions, batch.outcomes)
    return Targets(moves[:, 0], has_move[:, 0], values)


def errors(
    logits: Float[Array, "B 82"],
    values: Float[Array, " B"],
    targets: Targets,
    move_weights: Float[Array, " B"],
) -> Metrics:
    """Cross-entropy and accuracy over positions that have a move, squared error of the value."""
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, targets.moves)
    hit = jnp.argmax(logits, axis=-1) == targets.moves
    return {
        "cross_entropy": jnp.mean(move_weights * entropy),
        "top1": jnp.mean(move_weights * hit),
        "value_error": jnp.mean((values - targets.values) ** 2),
    }


def show_positions(batch: Batch, rng_key: PRNGKeyArray) -> ShownPositions:
    """Each position in a random orientation."""
    symmetries = jax.random.randint(rng_key, batch.komi.shape, 0, NUM_SYMMETRIES)
    targets = targets_of(batch, symmetries)
    planes = observation_planes(batch.positions, batch.komi, symmetries)
    return ShownPositions(planes, targets, present_weights(targets.has_move))


def encoder_loss(
    graphdef: nnx.GraphDef,
    value_weight: float,
    params: Params,
    shown: ShownPositions,
    rng_key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Metrics]:
    """Cross-entropy plus the weighted squared error; draws nothing."""
    del rng_key
    encoder: Encoder = nnx.merge(graphdef, params)
    told = encoder(shown.planes)
    metrics = errors(told.logits, told.value, shown.targets, shown.move_weights)
    return metrics["cross_entropy"] + value_weight * metrics["value_error"], metrics
