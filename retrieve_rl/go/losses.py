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


def targets_of(batch: Batch, symmetries: Integer[Array, " B"]) -> Targets:
    """The targets of the batch, each position turned by its symmetry."""
    moves, has_move = move_targets(batch.positions, symmetries)
    values = value_targets(batch.positions, batch.outcomes)
    return Targets(moves[:, 0], has_move[:, 0], values)


def errors(logits: Float[Array, "B 82"], values: Float[Array, " B"], targets: Targets) -> Metrics:
    """Cross-entropy and accuracy over positions that have a move, squared error of the value."""
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, targets.moves)
    hit = jnp.argmax(logits, axis=-1) == targets.moves
    num_moves = jnp.maximum(jnp.sum(targets.has_move), 1)
    return {
        "cross_entropy": jnp.sum(jnp.where(targets.has_move, entropy, 0.0)) / num_moves,
        "top1": jnp.sum(targets.has_move & hit) / num_moves,
        "value_error": jnp.mean((values - targets.values) ** 2),
    }


def encoder_loss(
    graphdef: nnx.GraphDef,
    value_weight: float,
    params: Params,
    batch: Batch,
    rng_key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Metrics]:
    """Cross-entropy plus the weighted squared error, each position in a random orientation."""
    encoder: Encoder = nnx.merge(graphdef, params)
    symmetries = jax.random.randint(rng_key, batch.komi.shape, 0, NUM_SYMMETRIES)
    planes = observation_planes(batch.positions, batch.komi, symmetries)
    told = encoder(planes)
    metrics = errors(told.logits, told.value, targets_of(batch, symmetries))
    return metrics["cross_entropy"] + value_weight * metrics["value_error"], metrics
