"""The model unrolled along the moves that were played, and what it should have said on the way."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Bool, Float, Integer

from retrieve_rl.go.losses import Batch
from retrieve_rl.go.model import PolicyValue, dynamics, predict
from retrieve_rl.go.planes import value_targets
from retrieve_rl.go.points import NO_MOVE
from retrieve_rl.go.symmetries import turn_moves
from retrieve_rl.training.state import Params
from retrieve_rl.types import Array


class UnrollTargets(NamedTuple):
    """What the model should say after k = 0..K of the moves that followed each of B positions.

    Attributes:
      moves: the move played after k moves; NO_MOVE past the end of the game.
      has_move: whether there is one.
      values: the outcome as the player to move after k moves sees it; a draw is 0.
      reached: whether the game has k moves left: the last position has a value and no move.
    """

    moves: Integer[Array, "B K+1"]
    has_move: Bool[Array, "B K+1"]
    values: Float[Array, "B K+1"]
    reached: Bool[Array, "B K+1"]


class UnrollErrors(NamedTuple):
    """How far predictions are off; 0 or False wherever a target is missing.

    Attributes:
      cross_entropy: of the policy with the move played.
      hit: whether the most probable move was played.
      value_error: squared, between values in -1 to 1.
    """

    cross_entropy: Float[Array, "B K+1"]
    hit: Bool[Array, "B K+1"]
    value_error: Float[Array, "B K+1"]


def unroll_targets(
    batch: Batch, symmetries: Integer[Array, " B"], unroll_steps: int
) -> UnrollTargets:
    """The targets of positions turned by their symmetries."""
    next_moves: Array = jnp.asarray(batch.positions.next_moves)
    moves = turn_moves(next_moves[:, : unroll_steps + 1], symmetries[:, None])
    has_move = moves != NO_MOVE
    # Colors alternate, passes included, and so does who sees the outcome.
    signs = jnp.where(jnp.arange(unroll_steps + 1) % 2 == 0, 1.0, -1.0)
    first = jnp.ones((len(moves), 1), bool)
    return UnrollTargets(
        moves=moves.astype(jnp.int32),
        has_move=has_move,
        values=value_targets(batch.positions, batch.outcomes)[:, None] * signs,
        reached=jnp.concatenate([first, has_move[:, :-1]], axis=1),
    )


def unroll(
    graphdef: nnx.GraphDef,
    params: Params,
    embedding: Float[Array, "B 9 9 S"],
    moves: Integer[Array, "B K"],
) -> PolicyValue:
    """Policy [B, K+1, 82] and value [B, K+1] of the embedding and after each of the moves."""

    def step(state: Array, played: Array) -> tuple[Array, Array]:
        following = dynamics(graphdef, params, state, played)
        return following, following

    _, following = jax.lax.scan(step, embedding, moves.T)
    states = jnp.concatenate([embedding[None], following])
    said = predict(graphdef, params, states.reshape(-1, *embedding.shape[1:]))
    return PolicyValue(
        *(jnp.moveaxis(part.reshape(*states.shape[:2], *part.shape[1:]), 0, 1) for part in said)
    )


def unroll_errors(said: PolicyValue, targets: UnrollTargets) -> UnrollErrors:
    """Errors after every number of moves."""
    labels = jnp.where(targets.has_move, targets.moves, 0)
    entropy = optax.softmax_cross_entropy_with_integer_labels(said.logits, labels)
    return UnrollErrors(
        cross_entropy=jnp.where(targets.has_move, entropy, 0.0),
        hit=targets.has_move & (jnp.argmax(said.logits, axis=-1) == labels),
        value_error=jnp.where(targets.reached, (said.value - targets.values) ** 2, 0.0),
    )
