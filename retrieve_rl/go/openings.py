"""Openings that matches begin from: distinct up to the board's symmetries, and split once.

Two openings are the same where they reach the same stones with the same player to move, in any
orientation and by any order of moves.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieve_rl.errors import DataError
from retrieve_rl.go.archives import game_texts
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.digests import digest_words, position_digest, scattered, shares
from retrieve_rl.go.points import BLACK, PASS, WHITE, moves_of, unpack_boards
from retrieve_rl.go.replay import replay
from retrieve_rl.go.sgf import Game, RejectedGame, game_of_moves, parse_game

MAX_PLIES = 40
DEFAULT_PLIES, DEFAULT_AT_LEAST = 8, 2
ADDING_SHARE = 0.5
_FIRST_ADDING_SEED = 1_000_000


@dataclass(frozen=True)
class OpeningSet:
    """Openings and where the seeds of games from them start.

    Attributes:
      openings: moves from the empty board, one byte each, Black first; no passes.
      first_seed: of the first pair of games; the next pair takes the next.
    """

    openings: tuple[bytes, ...]
    first_seed: int = 0


def read_openings(path: Path) -> tuple[bytes, ...]:
    """The distinct openings of a file, in its order.

    Args:
      path: `.txt`, an opening a line ("E5 C3 G6"; # begins a comment), or records of games, whose
        whole main lines are openings.

    Raises:
      DataError: nothing there, or what is no opening.
    """
    found: list[tuple[str, bytes]] = []
    if path.suffix.lower() == ".txt":
        found += _text_openings(path)
    else:
        found += _recorded_openings(path)
    openings = [opening for _, opening in found]
    digests = _digests(openings, [place for place, _ in found])
    distinct = dict(zip(reversed(digests), reversed(openings), strict=True))
    if not distinct:
        raise DataError(f"{path} holds no opening: expected lines like E5 C3 G6, or SGF games")
    return tuple(distinct[digest] for digest in dict.fromkeys(digests))


def common_openings(games: Iterable[Game], *, plies: int, at_least: int) -> tuple[bytes, ...]:
    """The distinct openings of `plies` moves that occur in some games, most frequent first.

    Of the ways to play an opening, the most frequent is taken.

    Args:
      at_least: how many games must begin so.
    """
    prefixes = Counter(
        game.moves[:plies]
        for game in games
        if len(game.moves) >= plies
        and not game.black + game.white
        and game.first_color == BLACK
        and PASS not in game.moves[:plies]
    )
    # By moves where they are equally frequent, so that the order of the games does not matter.
    ways = sorted(prefixes, key=lambda opening: (-prefixes[opening], opening))
    counts: Counter[bytes] = Counter()
    first: dict[bytes, bytes] = {}
    for digest, opening in zip(_digests(ways, [""] * len(ways)), ways, strict=True):
        counts[digest] += prefixes[opening]
        first.setdefault(digest, opening)
    common = [digest for digest in first if counts[digest] >= at_least]
    return tuple(
        first[digest] for digest in sorted(common, key=lambda found: (-counts[found], first[found]))
    )


def default_openings() -> tuple[bytes, ...]:
    """What at least DEFAULT_AT_LEAST of the bundled games have in common after DEFAULT_PLIES."""
    games = (parse_game(text.text) for text in game_texts(bundled_records().path))
    return common_openings(games, plies=DEFAULT_PLIES, at_least=DEFAULT_AT_LEAST)


def split_openings(openings: Sequence[bytes]) -> tuple[OpeningSet, OpeningSet]:
    """An adding and a scoring set: games of the first may enter a memory, those of the second
    measure what that changes. No opening, symmetries counted, and no seed is in both.

    Decided by the opening's own position, so that it stays whatever else is in the list.

    Raises:
      DataError: too few openings: one of the sets stays empty.
    """
    digests = _digests(openings, [""] * len(openings))
    words = digest_words(np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1))
    is_adding = shares(scattered(words)) < ADDING_SHARE
    adding, scoring = (
        tuple(opening for opening, one in zip(openings, chosen, strict=True) if one)
        for chosen in (is_adding, ~is_adding)
    )
    if not adding or not scoring:
        raise DataError(f"{len(openings)} openings cannot be split in two: bring more")
    return OpeningSet(adding, _FIRST_ADDING_SEED), OpeningSet(scoring)


def _text_openings(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            moves = moves_of(line.partition("#")[0])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
        if moves:
            yield f"{path}, line {number}", moves


def _recorded_openings(path: Path) -> Iterator[tuple[str, bytes]]:
    for text in game_texts(path):
        place = f"{path}, game {text.entry} of {text.source}"
        try:
            game = parse_game(text.text)
        except RejectedGame as rejection:
            raise DataError(f"{place}: {rejection.reason.value}") from None
        if game.black + game.white or game.first_color == WHITE:
            raise DataError(f"{place} does not begin with Black on an empty board")
        yield place, game.moves


def _digests(openings: Sequence[bytes], places: Sequence[str]) -> list[bytes]:
    """The identity of each opening. Raises DataError for what is none, with its place."""
    if not openings:
        return []
    played = replay([game_of_moves(opening) for opening in openings])
    for opening, place, fault, repeats in zip(
        openings, places, played.faults, played.repeats, strict=True
    ):
        if fault is not None:
            raise DataError(f"{place} is no opening: {fault.value}")
        if repeats:
            raise DataError(f"{place} is no opening: it repeats a position")
        if PASS in opening or not 0 < len(opening) <= MAX_PLIES:
            raise DataError(f"{place} is no opening: expected 1 to {MAX_PLIES} moves and no pass")
    return [
        position_digest(stones, WHITE if len(opening) % 2 else BLACK)
        for stones, opening in zip(unpack_boards(played.final_boards), openings, strict=True)
    ]
