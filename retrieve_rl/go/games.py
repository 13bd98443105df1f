"""Reads game records into tables: many files, many processes, one result for any number of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieve_rl.errors import DataError
from retrieve_rl.go.archives import GameText, game_texts
from retrieve_rl.go.digests import digest_words, game_digest, scattered, shares
from retrieve_rl.go.game_table import Games, concatenate_games, game_table
from retrieve_rl.go.positions import Positions, concatenate_positions, positions_of
from retrieve_rl.go.replay import Replay, replay
from retrieve_rl.go.selection import Selection
from retrieve_rl.go.sgf import Game, Reason, RejectedGame, parse_game
from retrieve_rl.processes import map_in_order, usable_cores
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import UNASKED, StopRequest

_GAMES_AT_ONCE = 2048
_BYTES_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Source:
    """A file or folder of records and what is taken from it.

    Attributes:
      path: `.sgf` (one game or a collection), `.sgf.gz`, `.tar.gz`, `.zip`, or a folder of these.
      selection: what is taken.
    """

    path: Path
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True)
class Records:
    """What was read.

    Attributes:
      positions: in the order of games and plies.
      games: every game that was taken, also where no position of it was.
      rejected: games left out, by reason, those that occur.
    """

    positions: Positions
    games: Games
    rejected: dict[str, int]


def read_records(
    sources: Sequence[Source],
    *,
    fraction: float,
    seed: int,
    reporter: Reporter,
    stop: StopRequest = UNASKED,
    workers: int | None = None,
) -> Records:
    """Reads, checks and packs the games of all sources, in the order given.

    Of games that are the same up to a symmetry of the board the first is kept; so name the source
    first whose games are held out, for a split to stay as it is when others are added. A position
    is kept with probability `fraction`, decided by the seed, its game and its ply alone: it does
    not depend on the other sources.

    Args:
      fraction: share of positions kept, 0 to 1; 0.15 in Humphreys et al. 2022.
      workers: processes; by default one per core this process may use.

    Raises:
      DataError: a source is missing, damaged or hostile (see `game_texts`), or no game was left.
      ResourceError: a worker process died.
      Interrupted: a signal asked to stop.
    """
    parts: list[_Part] = []
    seen: set[bytes] = set()
    rejected: Counter[str] = Counter()
    read = partial(_read_part, fraction=fraction, seed=seed)
    batches = _batches(sources)
    num_games = 0
    for part in map_in_order(
        read, batches, workers=workers or usable_cores(), doing="reading game records"
    ):
        stop.raise_if_requested("nothing of the game records is kept: run again to read them")
        part = _without_seen(part, seen)
        positions = part.positions._replace(games=part.positions.games + np.int32(num_games))
        parts.append(part._replace(positions=positions))
        num_games += len(part.games)
        rejected.update(part.rejected)
    if num_games == 0:
        names = ", ".join(str(source.path) for source in sources)
        reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted(rejected.items()))
        raise DataError(f"{names}: no usable 9x9 game ({reasons or 'no game at all'})")
    records = Records(
        positions=concatenate_positions([part.positions for part in parts]),
        games=concatenate_games([part.games for part in parts]),
        rejected=dict(sorted(rejected.items())),
    )
    reporter.say(
        f"read {num_games} games, {records.positions.num_positions} positions;"
        f" left out {sum(rejected.values())} games"
    )
    return records


class _Part(NamedTuple):
    positions: Positions
    games: Games
    rejected: dict[str, int]


class _Batch(NamedTuple):
    texts: list[GameText]
    selection: Selection


def _batches(sources: Iterable[Source]) -> Iterator[_Batch]:
    """Texts in batches of a bounded number of games and bytes; no batch spans two sources."""
    for source in sources:
        texts = game_texts(source.path)
        while True:
            batch: list[GameText] = []
            size = 0
            for text in islice(texts, _GAMES_AT_ONCE):
                batch.append(text)
                size += len(text.text)
                if size >= _BYTES_AT_ONCE:
                    break
            if not batch:
                break
            yield _Batch(batch, source.selection)


def _read_part(batch: _Batch, *, fraction: float, seed: int) -> _Part:
    games: list[Game] = []
    found: list[GameText] = []
    rejected: Counter[str] = Counter()
    for text in batch.texts:
        try:
            game = parse_game(text.text)
            _check_usable(game, batch.selection)
        except RejectedGame as rejection:
            rejected[rejection.reason.value] += 1
        else:
            games.append(game)
            found.append(text)
    played = replay(games)
    rejected.update(fault.value for fault in played.faults if fault is not None)
    legal = [number for number, fault in enumerate(played.faults) if fault is None]
    table = game_table(
        [games[number] for number in legal],
        digests=[game_digest(games[number]) for number in legal],
        sources=[found[number].source for number in legal],
        entries=[found[number].entry for number in legal],
        final_boards=played.final_boards[legal],
        owners=played.owners[legal],
        area_scores=played.area_scores[legal],
        repeats=played.repeats[legal],
    )
    rows = np.full(len(games), -1)
    rows[legal] = np.arange(len(legal))
    chosen = _chosen_plies(played, games, table, rows, batch.selection, fraction, seed)
    positions = positions_of(played, chosen)
    positions = positions._replace(games=rows[positions.games].astype(np.int32))
    return _Part(positions, table, dict(rejected))


def _check_usable(game: Game, selection: Selection) -> None:
    if not game.moves:
        raise RejectedGame(Reason.NO_MOVES)
    if game.outcome is None:
        raise RejectedGame(Reason.NO_RESULT)
    if game.komi is None:
        raise RejectedGame(Reason.NO_KOMI)
    if not selection.takes(game):
        raise RejectedGame(Reason.FILTERED)


def _chosen_plies(
    played: Replay,
    games: Sequence[Game],
    table: Games,
    rows: np.ndarray,
    selection: Selection,
    fraction: float,
    seed: int,
) -> np.ndarray:
    """Plies of legal games on a side that is taken, sampled."""
    sides = np.array([[selection.takes_side(name) for name in game.names] for game in games], bool)
    sides = sides.reshape(-1, 2)  # no games make [0]
    taken = (rows[played.games] >= 0) & sides[played.games, played.to_move - 1]
    if fraction < 1:
        keys = np.zeros(len(games), np.uint64)
        keys[rows >= 0] = digest_words(table.digests)
        keys = scattered(keys ^ scattered(np.array([seed % 2**64], np.uint64)))
        draws = shares(scattered(keys[played.games] + played.plies.astype(np.uint64)))
        taken &= draws < fraction
    return np.flatnonzero(taken)


def _without_seen(part: _Part, seen: set[bytes]) -> _Part:
    """Drops games that came before; adds the others to `seen`."""
    fresh = np.zeros(len(part.games), bool)
    for row, digest in enumerate(map(bytes, part.games.digests)):
        fresh[row] = digest not in seen
        seen.add(digest)
    if fresh.all():
        return part
    rows = (np.cumsum(fresh) - 1).astype(np.int32)
    positions = part.positions.take(fresh[part.positions.games])
    rejected = Counter(part.rejected)
    rejected[Reason.DUPLICATE.value] += int((~fresh).sum())
    return _Part(
        positions._replace(games=rows[positions.games]), part.games.select(fresh), dict(rejected)
    )
