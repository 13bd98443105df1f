"""A position as a reader sees it: stones, the moves that followed, and whose game it was."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from retrieve_rl.go.points import BLACK, NO_MOVE, SIZE, WHITE, unpack_boards, vertex_of
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.store import Store
from retrieve_rl.go.symmetries import turn_boards, turn_moves

STONES = ".XO"
"""Characters for EMPTY, BLACK and WHITE."""
COLORS = {BLACK: "black", WHITE: "white"}
WINNERS = {1: "black", 0: "draw", -1: "white", None: None}


@dataclass(frozen=True)
class Record:
    """What is told of a game.

    Attributes:
      file: the file of records it stands in.
      entry: number of the game in that file, from 0.
      players: Black's and White's names, "" where not recorded.
      outcome: 1 Black won, 0 draw, -1 White won; None where not recorded.
      margin: Black's points minus White's as recorded; None where the result names no number.
      komi: points given to White.
    """

    file: str
    entry: int
    players: tuple[str, str]
    outcome: int | None
    margin: float | None
    komi: float

    @property
    def winner(self) -> str | None:
        """ "black", "white" or "draw"; None where not recorded."""
        return WINNERS[self.outcome]


@dataclass(frozen=True)
class Diagram:
    """A position and its game, turned to an orientation.

    Attributes:
      stones: EMPTY, BLACK or WHITE for each point.
      to_move: BLACK or WHITE.
      next_moves: the moves that followed, both players', ten at most; points or PASS.
      ply: moves before this position, passes included.
      record: the game.
      row: of the store; None for a position from elsewhere.
    """

    stones: UInt8[np.ndarray, "81"]
    to_move: int
    next_moves: tuple[int, ...]
    ply: int
    record: Record
    row: int | None


def diagram_of(
    positions: Positions, number: int, symmetry: int, record: Record, row: int | None
) -> Diagram:
    """One row of a table of positions, turned by a symmetry."""
    moves = turn_moves(np.asarray(positions.next_moves[number]), symmetry)
    return Diagram(
        stones=turn_boards(unpack_boards(np.asarray(positions.boards[number])), symmetry),
        to_move=int(positions.to_move[number]),
        next_moves=tuple(int(move) for move in moves if move != NO_MOVE),
        ply=int(positions.plies[number]),
        record=record,
        row=row,
    )


def diagram_of_row(store: Store, row: int, symmetry: int = 0) -> Diagram:
    """A position of the store, turned by a symmetry."""
    record = record_of(store, int(store.positions.games[row]))
    return diagram_of(store.positions, row, symmetry, record, row)


def record_of(store: Store, game: int) -> Record:
    """What the table of games tells of one of its rows."""
    games = store.games
    black, white = games.named(games.players[game])
    margin = float(games.margins[game])
    return Record(
        file=printable(games.texts[games.sources[game]]),
        entry=int(games.entries[game]),
        players=(str(black), str(white)),
        outcome=int(games.outcomes[game]),
        margin=None if math.isnan(margin) else margin,
        komi=float(games.komi[game]),
    )


def printable(text: str) -> str:
    """The text without what may not be sent to a terminal; file names may hold anything."""
    return "".join(character if character.isprintable() else "?" for character in text)


def board_rows(diagram: Diagram) -> list[str]:
    """Nine strings of nine characters of `STONES`, the top row first."""
    text = "".join(STONES[color] for color in diagram.stones)
    return [text[start : start + SIZE] for start in range(0, len(text), SIZE)]


def document_of(diagram: Diagram) -> dict[str, Any]:
    """The diagram as strict JSON; moves as the Go Text Protocol writes them."""
    record = diagram.record
    return {
        "row": diagram.row,
        "board": board_rows(diagram),
        "to_move": COLORS[diagram.to_move],
        "next_moves": [vertex_of(move) for move in diagram.next_moves],
        "ply": diagram.ply,
        "file": record.file,
        "entry": record.entry,
        "players": {"black": record.players[0], "white": record.players[1]},
        "winner": record.winner,
        "margin": record.margin,
        "komi": record.komi,
    }
