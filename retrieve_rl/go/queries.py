"""The position that asks: of the store, or of any game record."""

import dataclasses
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.go.archives import game_texts
from retrieve_rl.go.diagrams import Diagram, Record, diagram_of, diagram_of_row, printable
from retrieve_rl.go.digests import game_digest
from retrieve_rl.go.points import NO_MOVE, PASS
from retrieve_rl.go.positions import Positions, positions_of
from retrieve_rl.go.replay import replay
from retrieve_rl.go.sgf import Game, RejectedGame, parse_game
from retrieve_rl.go.store import Store
from retrieve_rl.retrieval.neighbors import NO_GROUP


class Query(NamedTuple):
    """A position that asks for neighbors.

    Attributes:
      positions: one row; the number of its game means nothing outside the store.
      diagram: the same for a reader, as it was played.
      digest: of its game, see `game_digest`.
    """

    positions: Positions
    diagram: Diagram
    digest: bytes


def query_of_row(store: Store, row: int) -> Query:
    """A position of the store. Raises UsageError where there is no such row."""
    count = store.positions.num_positions
    if not 0 <= row < count:
        raise UsageError(f"there is no row {row}: the store has rows 0 to {count - 1}")
    positions = store.positions.take(np.array([row]))
    digest = bytes(store.games.digests[store.positions.games[row]])
    return Query(positions, diagram_of_row(store, row), digest)


def query_of_game(path: Path, ply: int) -> Query:
    """The position of a recorded game after `ply` moves, at most all of them.

    Args:
      path: a file of one game; its result need not be recorded, its komi must.

    Raises:
      DataError: the file cannot be read, or holds no game or several, or one that is not played by
        the rules on 9x9 or has no komi.
      UsageError: the game has fewer moves.
    """
    game = _only_game(path)
    if game.komi is None:
        raise DataError(f"{path} records no komi: write one to its first node, as in KM[7]")
    if not 0 <= ply <= len(game.moves):
        raise UsageError(f"{path} has no ply {ply}: its plies are 0 to {len(game.moves)}")
    record = Record(
        file=printable(path.name),
        entry=0,
        players=game.names,
        outcome=game.outcome,
        margin=game.margin,
        komi=game.komi,
    )
    positions = _position(path, game, ply)
    return Query(positions, diagram_of(positions, 0, 0, record, None), game_digest(game))


def _only_game(path: Path) -> Game:
    texts = list(islice(game_texts(path), 2))
    if len(texts) != 1:
        found = "more than one game" if texts else "no game"
        raise DataError(f"{path} holds {found}: expected a file of one game")
    try:
        return parse_game(texts[0].text)
    except RejectedGame as rejection:
        raise _unusable(path, rejection.reason.value) from None


def _position(path: Path, game: Game, ply: int) -> Positions:
    # A position is kept for every move: one more move, and the last one counts, too.
    played = replay([dataclasses.replace(game, moves=game.moves + bytes((PASS,)))])
    if played.faults[0] is not None:
        raise _unusable(path, played.faults[0].value)
    found = positions_of(played, np.array([ply]))
    next_moves = found.next_moves.copy()
    next_moves[:, len(game.moves) - ply :] = NO_MOVE
    games = np.full(1, NO_GROUP, np.int32)
    return found._replace(next_moves=next_moves, games=games)


def _unusable(path: Path, reason: str) -> DataError:
    return DataError(f"{path} cannot be used ({reason}): expected a legal game of 9x9 Go, SZ[9]")
