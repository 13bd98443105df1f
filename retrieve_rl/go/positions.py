"""One row a position: what was on the board before each move, packed into 40 bytes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8, UInt16

from retrieve_rl.go.points import NO_MOVE, PACKED_BYTES
from retrieve_rl.go.replay import Replay

NUM_NEXT_MOVES = 10


class Positions(NamedTuple):
    """Columns over N positions, on the host or on the device.

    The row of a position holds what was before the player's move; `next_moves[:, 0]` is that move.

    Attributes:
      boards: two bits a point, see `pack_boards`.
      to_move: BLACK or WHITE.
      ko: the point that simple ko forbids; NO_MOVE where none.
      last_moves: the move before; NO_MOVE at the beginning of the record.
      plies: moves before this position, passes included.
      games: row of the game in the table of games.
      next_moves: the moves that followed, both players'; NO_MOVE beyond the end of the game. Its
        first column is never NO_MOVE.
    """

    boards: UInt8[np.ndarray, "N 21"]
    to_move: UInt8[np.ndarray, " N"]
    ko: UInt8[np.ndarray, " N"]
    last_moves: UInt8[np.ndarray, " N"]
    plies: UInt16[np.ndarray, " N"]
    games: Int32[np.ndarray, " N"]
    next_moves: UInt8[np.ndarray, "N 10"]

    @property
    def num_positions(self) -> int:
        return self.games.shape[0]

    def take(self, rows: Int[np.ndarray, "*B"] | Bool[np.ndarray, " N"]) -> "Positions":
        """The rows at these numbers, or where a mask is true."""
        return Positions(*(column[rows] for column in self))


def positions_of(replay: Replay, chosen: Int[np.ndarray, " N"]) -> Positions:
    """The chosen plies of a replay as rows; `games` counts the replay's games."""
    games, plies = replay.games[chosen], replay.plies[chosen]
    ahead = np.arange(NUM_NEXT_MOVES)
    within = plies[:, None] + ahead < replay.lengths[games][:, None]
    padded = np.append(replay.moves, np.full(NUM_NEXT_MOVES, NO_MOVE, np.uint8))
    next_moves = np.where(within, padded[chosen[:, None] + ahead], np.uint8(NO_MOVE))
    last_moves = np.where(plies > 0, padded[chosen - 1], np.uint8(NO_MOVE))
    return Positions(
        boards=replay.boards[chosen],
        to_move=replay.to_move[chosen],
        ko=replay.ko[chosen],
        last_moves=last_moves,
        plies=plies.astype(np.uint16),
        games=games.astype(np.int32),
        next_moves=next_moves,
    )


def no_positions() -> Positions:
    """The empty table."""
    none = np.zeros(0, np.uint8)
    return Positions(
        boards=np.zeros((0, PACKED_BYTES), np.uint8),
        to_move=none,
        ko=none,
        last_moves=none,
        plies=np.zeros(0, np.uint16),
        games=np.zeros(0, np.int32),
        next_moves=np.zeros((0, NUM_NEXT_MOVES), np.uint8),
    )


def concatenate_positions(tables: Sequence[Positions]) -> Positions:
    """One table after the other; the numbers of games stay as they are."""
    return Positions(*map(np.concatenate, zip(no_positions(), *tables, strict=True)))
