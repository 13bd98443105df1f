"""Plays recorded games through, many at a time, and keeps every position on the way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int8, UInt8

from retrieve_rl.go.board import Boards, Verdict, points_ahead
from retrieve_rl.go.points import BLACK, NO_MOVE, PACKED_BYTES, WHITE, pack_boards
from retrieve_rl.go.sgf import Game, Reason

_REASONS = {
    Verdict.OCCUPIED: Reason.OCCUPIED,
    Verdict.KO: Reason.KO,
    Verdict.SUICIDE: Reason.SUICIDE,
}


@dataclass(frozen=True)
class Replay:
    """G games of N moves in all, one after the other. Boards after an illegal move are zeros,
    ko is NO_MOVE; moves and to_move go on as recorded.

    Attributes:
      lengths: moves of each game.
      games: the game of each ply.
      plies: number of each ply in its game.
      moves: the move made at each ply.
      to_move: who made it.
      boards: the board before it, two bits a point.
      ko: the point simple ko forbade; NO_MOVE where none.
      faults: why each game cannot be used; None where it is legal to its end.
      repeats: some move of the game repeated an earlier position.
      final_boards, owners, area_scores: of each last board; see `Games`.
    """

    lengths: Int[np.ndarray, " G"]
    games: Int[np.ndarray, " N"]
    plies: Int[np.ndarray, " N"]
    moves: UInt8[np.ndarray, " N"]
    to_move: UInt8[np.ndarray, " N"]
    boards: UInt8[np.ndarray, "N 21"]
    ko: UInt8[np.ndarray, " N"]
    faults: list[Reason | None]
    repeats: Bool[np.ndarray, " G"]
    final_boards: UInt8[np.ndarray, "G 21"]
    owners: UInt8[np.ndarray, "G 21"]
    area_scores: Int8[np.ndarray, " G"]


def replay(games: Sequence[Game]) -> Replay:
    """Plays every game to its end or its first illegal move.

    Moves that only superko forbids are played: the rules of many records allow them.
    """
    lengths = np.array([len(game.moves) for game in games], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    numbers = np.repeat(np.arange(len(games)), lengths)
    plies = np.arange(offsets[-1]) - offsets[numbers]
    first = np.array([game.first_color for game in games], np.uint8)[numbers]
    to_move = np.where(plies % 2 == 0, first, BLACK + WHITE - first).astype(np.uint8)
    moves = np.frombuffer(b"".join(game.moves for game in games), np.uint8)
    packed = np.zeros((len(moves), PACKED_BYTES), np.uint8)
    ko = np.full(len(moves), NO_MOVE, np.uint8)

    boards = _set_up(games)
    faults: list[Reason | None] = [
        Reason.BAD_SETUP if bad else None for bad in boards.without_liberties()
    ]
    playing = ~boards.without_liberties()
    repeats = np.zeros(len(games), bool)
    longest_first = np.argsort(-lengths, kind="stable")
    for ply in range(int(lengths.max(initial=0))):
        rows = longest_first[: np.count_nonzero(lengths > ply)]
        rows = rows[playing[rows]]
        now = offsets[rows] + ply
        packed[now] = pack_boards(boards.stones[rows])
        ko[now] = boards.ko[rows]
        found = boards.play(rows, moves[now], to_move[now], repetition_allowed=True)
        repeats[rows] |= found == Verdict.SUPERKO
        for fault in np.flatnonzero((found != Verdict.LEGAL) & (found != Verdict.SUPERKO)):
            faults[rows[fault]] = _REASONS[Verdict(found[fault])]
            playing[rows[fault]] = False
    owners = boards.owners()
    return Replay(
        lengths=lengths,
        games=numbers,
        plies=plies,
        moves=moves,
        to_move=to_move,
        boards=packed,
        ko=ko,
        faults=faults,
        repeats=repeats,
        final_boards=pack_boards(boards.stones),
        owners=pack_boards(owners),
        area_scores=points_ahead(owners),
    )


def _set_up(games: Sequence[Game]) -> Boards:
    boards = Boards(len(games))
    rows: list[int] = []
    points: list[int] = []
    colors: list[int] = []
    for row, game in enumerate(games):
        for color, stones in ((BLACK, game.black), (WHITE, game.white)):
            rows += [row] * len(stones)
            points += stones
            colors += [color] * len(stones)
    if rows:
        boards.set_up(np.array(rows), np.array(points), np.array(colors))
    return boards
