"""Input planes, computed on the device from packed positions; pure, for use inside `jit`.

All planes are seen by the player to move: "own" stones are his. Planes of neighbors are seen by the
player to move in the neighbor's position. Every function takes the symmetry to show a position in.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float, Integer, Shaped

from retrieve_rl.go.game_table import Games
from retrieve_rl.go.points import BLACK, NO_MOVE, NUM_POINTS, PASS, SIZE, WHITE, unpack_boards
from retrieve_rl.go.positions import NUM_NEXT_MOVES, Positions
from retrieve_rl.go.symmetries import turn_boards, turn_moves
from retrieve_rl.types import Array

OBSERVATION_PLANES = (
    "own stones",
    "opponent's stones",
    "empty points",
    "point forbidden by ko",
    "last move",
    "last move was a pass",
    "Black is to move",
    "komi in the player's favor",
    "ones",
)
NEIGHBOR_PLANES = (
    "own stones",
    "opponent's stones",
    "own stones at the end",
    "opponent's stones at the end",
    "own points at the end",
    "opponent's points at the end",
    "last move",
    *(f"move {number} from here" for number in range(1, NUM_NEXT_MOVES + 1)),
    "Black is to move",
    "outcome for the player",
    *(f"move {number} from here is a pass" for number in range(1, NUM_NEXT_MOVES + 1)),
    *(f"the game has a move {number} from here" for number in range(1, NUM_NEXT_MOVES + 1)),
)
KOMI_SCALE = 10.0
"""Divides komi, so that its plane has the size of the others."""


class Outlooks(NamedTuple):
    """What is known of the game of each of B positions.

    Attributes:
      komi: points given to White.
      outcomes: 1 Black won, 0 draw, -1 White won.
      final_boards: two bits a point.
      owners: the color that owns each point at the end, two bits a point.
    """

    komi: Float[Array, " B"]
    outcomes: Integer[Array, " B"]
    final_boards: Integer[Array, "B 21"]
    owners: Integer[Array, "B 21"]


def outlooks(games: Games, positions: Positions) -> Outlooks:
    """Looks up the games of some positions, on the host."""
    rows = positions.games
    return Outlooks(
        games.komi[rows], games.outcomes[rows], games.final_boards[rows], games.owners[rows]
    )


def observation_planes(
    positions: Positions, komi: Float[Array, " B"], symmetries: Integer[Array, " B"]
) -> Float[Array, "B 9 9 C"]:
    """The planes of `OBSERVATION_PLANES`, each position turned by its symmetry."""
    own, opponent = _stones(positions.boards, positions.to_move, symmetries)
    marked: Array = jnp.stack([positions.ko, positions.last_moves], axis=-1)
    black = positions.to_move == BLACK
    komi_in_favor = jnp.where(black, -komi, komi) / KOMI_SCALE
    constants = [positions.last_moves == PASS, black, komi_in_favor, jnp.ones_like(komi_in_favor)]
    planes = [
        jnp.stack([own, opponent, 1.0 - own - opponent], axis=-1),
        _points(turn_moves(marked, symmetries[:, None])),
        _constants(jnp.stack(constants, axis=-1)),
    ]
    return _grid(jnp.concatenate(planes, axis=-1))


def neighbor_planes(
    positions: Positions,
    games: Outlooks,
    symmetries: Integer[Array, " B"],
    present: Bool[Array, " B"],
) -> Float[Array, "B 9 9 C"]:
    """The planes of `NEIGHBOR_PLANES`, each neighbor turned by its symmetry.

    Args:
      present: False where there is no neighbor; all planes are zero there (the x_i = 0 of
        Humphreys et al. 2022), whatever the row holds.
    """
    colors = (positions.boards, games.final_boards, games.owners)
    stones = [part for c in colors for part in _stones(c, positions.to_move, symmetries)]
    moves = turn_moves(positions.next_moves, symmetries[:, None])
    last_moves = turn_moves(positions.last_moves, symmetries)
    constants = [
        (positions.to_move == BLACK)[:, None],
        value_targets(positions, games.outcomes)[:, None],
        moves == PASS,
        moves != NO_MOVE,
    ]
    planes = [
        jnp.stack(stones, axis=-1),
        _points(jnp.concatenate([last_moves[:, None], moves], axis=-1)),
        _constants(jnp.concatenate(constants, axis=-1)),
    ]
    return jnp.where(present[:, None, None, None], _grid(jnp.concatenate(planes, axis=-1)), 0.0)


def value_targets(positions: Positions, outcomes: Integer[Array, " B"]) -> Float[Array, " B"]:
    """The recorded outcome as the player to move sees it: 1 won, 0 draw, -1 lost."""
    outcomes = jnp.asarray(outcomes).astype(jnp.float32)
    return jnp.where(positions.to_move == BLACK, outcomes, -outcomes)


def move_targets(
    positions: Positions, symmetries: Integer[Array, " B"]
) -> tuple[Integer[Array, "B 10"], Bool[Array, "B 10"]]:
    """The next moves, each position turned by its symmetry, and where there is one.

    Beyond the end of the game the mask is False and the move 0, a valid class.
    """
    moves = turn_moves(positions.next_moves, symmetries[:, None])
    mask = moves != NO_MOVE
    return jnp.where(mask, moves, 0).astype(jnp.int32), mask


def _stones(
    packed: Integer[Array, "B 21"], to_move: Integer[Array, " B"], symmetries: Integer[Array, " B"]
) -> tuple[Float[Array, "B 81"], Float[Array, "B 81"]]:
    on_device: Array = jnp.asarray(packed)
    boards = turn_boards(unpack_boards(on_device), symmetries)
    own = boards == to_move[:, None]
    opponent = boards == (BLACK + WHITE - to_move)[:, None]
    return own.astype(jnp.float32), opponent.astype(jnp.float32)


def _points(moves: Integer[Array, "B M"]) -> Float[Array, "B 81 M"]:
    """One at each point; zeros for a pass or no move."""
    return (moves[:, None, :] == jnp.arange(NUM_POINTS)[:, None]).astype(jnp.float32)


def _constants(values: Shaped[Array, "B M"]) -> Float[Array, "B 81 M"]:
    shape = (values.shape[0], NUM_POINTS, values.shape[1])
    return jnp.broadcast_to(values.astype(jnp.float32)[:, None, :], shape)


def _grid(planes: Float[Array, "B 81 C"]) -> Float[Array, "B 9 9 C"]:
    return planes.reshape(planes.shape[0], SIZE, SIZE, planes.shape[2])
