"""One SGF game: from text to a `Game`, by sgfmill's grammar."""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from retrieve_rl.go.plain_sgf import MOVES, Properties, plain_game
from retrieve_rl.go.points import BLACK, NO_MOVE, NUM_POINTS, PASS, SIZE, WHITE

with warnings.catch_warnings():
    # Python 3.12 and later warn of escapes in sgfmill's source, once, when it is compiled.
    warnings.simplefilter("ignore", SyntaxWarning)
    from sgfmill import sgf_grammar

MAX_TEXT_BYTES = 1_000_000
MAX_MOVES = 2000
MAX_KOMI = NUM_POINTS
_MAX_NAME = 64
_MAX_NAME_BYTES = 4 * _MAX_NAME


class Reason(StrEnum):
    """Why a game of the records was left out."""

    TOO_LARGE = f"text of more than {MAX_TEXT_BYTES} bytes"
    BROKEN = "broken text"
    NOT_GO = "not a game of Go"
    BOARD_SIZE = "another board size"
    LATE_SETUP = "stones set up after the first move"
    BAD_SETUP = "impossible setup"
    OFF_BOARD = "move off the board"
    TOO_LONG = f"more than {MAX_MOVES} moves"
    TURNS = "a player moves twice in a row"
    OCCUPIED = "illegal move: occupied point"
    KO = "illegal move: ko"
    SUICIDE = "illegal move: suicide"
    NO_MOVES = "no moves"
    NO_RESULT = "no winner or draw recorded"
    NO_KOMI = "no komi recorded"
    FILTERED = "not selected"
    DUPLICATE = "duplicate"


class RejectedGame(Exception):
    """A text that is no usable game; counted under its reason, never shown as an error."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Game:
    """A game as it was recorded; its moves are on the board, but not checked by the rules.

    Attributes:
      black, white: points of the setup stones, one byte each, ascending.
      moves: one byte a move, `PASS` for a pass.
      first_color: who makes the first move, BLACK or WHITE; the players alternate.
      komi: None where none is recorded.
      outcome: 1 where Black won, -1 where White won, 0 for a draw; None where none is recorded.
      margin: Black's points minus White's, as recorded; None where the result names no number.
      handicap: as recorded; 0 where none is.
      rules: as recorded, "" where not.
      names: Black's and White's, "" where not recorded.
      ratings: Black's and White's as recorded: "2207", "3d", "".
    """

    black: bytes
    white: bytes
    moves: bytes
    first_color: int
    komi: float | None
    outcome: int | None
    margin: float | None
    handicap: int
    rules: str
    names: tuple[str, str]
    ratings: tuple[str, str]


def parse_game(text: bytes) -> Game:
    """Reads the main line of one SGF game.

    Raises:
      RejectedGame: with the reason; for no text whatever anything else.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise RejectedGame(Reason.TOO_LARGE)
    plain = plain_game(text)
    nodes = _nodes(text) if plain is None else iter([plain.root])
    root = next(nodes)
    if root.get("GM", [b"1"])[0].strip() != b"1":
        raise RejectedGame(Reason.NOT_GO)
    if root.get("SZ", [b""])[0].strip() != b"%d" % SIZE:
        raise RejectedGame(Reason.BOARD_SIZE)
    black, white, moves, first_color = _main_line(root, nodes)
    if plain is not None:
        if len(plain.moves) > MAX_MOVES:
            raise RejectedGame(Reason.TOO_LONG)
        moves, first_color = plain.moves, plain.first_color
    outcome, margin = parse_result(_text(root, "RE"))
    return Game(
        black=black,
        white=white,
        moves=moves,
        first_color=first_color or _first_to_play(root, black, white),
        komi=_komi(_text(root, "KM")),
        outcome=outcome,
        margin=margin,
        handicap=_handicap(_text(root, "HA")),
        rules=_text(root, "RU"),
        names=(_text(root, "PB"), _text(root, "PW")),
        ratings=(_text(root, "BR"), _text(root, "WR")),
    )


def game_of_moves(moves: bytes) -> Game:
    """A game of which nothing but the moves is known; Black begins on an empty board."""
    return Game(
        black=b"",
        white=b"",
        moves=moves,
        first_color=BLACK,
        komi=None,
        outcome=None,
        margin=None,
        handicap=0,
        rules="",
        names=("", ""),
        ratings=("", ""),
    )


def _nodes(text: bytes) -> Iterator[Properties]:
    """The nodes of the main line, at least one."""
    try:
        tree = sgf_grammar.parse_sgf_game(text)
    except ValueError:
        raise RejectedGame(Reason.BROKEN) from None
    yield from sgf_grammar.main_sequence_iter(tree)


def _main_line(root: Properties, rest: Iterable[Properties]) -> tuple[bytes, bytes, bytes, int]:
    """Setup points, moves, and who makes the first of them (0 where there is none)."""
    setup: dict[int, int] = {}
    moves = bytearray()
    first_color = last_color = 0
    node: Properties | None = root
    nodes = iter(rest)
    while node is not None:
        if "AB" in node or "AW" in node or "AE" in node:
            if moves:
                raise RejectedGame(Reason.LATE_SETUP)
            _set_up(node, setup)
        black, white = node.get("B"), node.get("W")
        if black is not None or white is not None:
            values, color = (black, BLACK) if black is not None else (white, WHITE)
            if values is None or len(values) != 1 or (black is not None and white is not None):
                raise RejectedGame(Reason.BROKEN)
            move = MOVES.get(values[0], NO_MOVE)
            if move == NO_MOVE:
                raise RejectedGame(Reason.OFF_BOARD)
            if color == last_color:
                raise RejectedGame(Reason.TURNS)
            moves.append(move)
            first_color = first_color or color
            last_color = color
            if len(moves) > MAX_MOVES:
                raise RejectedGame(Reason.TOO_LONG)
        node = next(nodes, None)
    black_points = bytes(sorted(point for point, color in setup.items() if color == BLACK))
    white_points = bytes(sorted(point for point, color in setup.items() if color == WHITE))
    return black_points, white_points, bytes(moves), first_color


def _set_up(node: Properties, setup: dict[int, int]) -> None:
    for name, color in (("AB", BLACK), ("AW", WHITE), ("AE", None)):
        for point in _listed_points(node.get(name, ())):
            if color is None:
                setup.pop(point, None)
            else:
                setup[point] = color


def _listed_points(values: Iterable[bytes]) -> Iterable[int]:
    for value in values:
        corner, colon, opposite = value.partition(b":")
        first = MOVES.get(corner, PASS)
        last = MOVES.get(opposite, PASS) if colon else first
        if PASS in (first, last):
            raise RejectedGame(Reason.BAD_SETUP)
        for row in range(first // SIZE, last // SIZE + 1):
            for column in range(first % SIZE, last % SIZE + 1):
                yield row * SIZE + column


def _first_to_play(root: Properties, black: bytes, white: bytes) -> int:
    """Who is to play where no move says it: as recorded, else White after handicap stones."""
    recorded = {"B": BLACK, "W": WHITE}.get(_text(root, "PL")[:1].upper())
    return recorded or (WHITE if black and not white else BLACK)


# Printable ASCII without a backslash: what nearly all texts are, and they say what is written.
_CLEAN = re.compile(rb"[ -\[\]-~]{0,%d}" % _MAX_NAME)


def _text(root: Properties, name: str) -> str:
    values = root.get(name)
    if not values:
        return ""
    if _CLEAN.fullmatch(values[0]):
        return values[0].decode().strip()
    # Encodings are declared wrongly often enough; these names only tell players apart.
    raw = sgf_grammar.simpletext_value(values[0][:_MAX_NAME_BYTES])
    cut_inside_a_letter_perhaps = len(values[0]) > _MAX_NAME_BYTES
    try:
        decoded = raw.decode("utf-8", "ignore" if cut_inside_a_letter_perhaps else "strict")
    except UnicodeDecodeError:
        decoded = raw.decode("latin-1")
    return "".join(filter(str.isprintable, decoded)).strip()[:_MAX_NAME]


_NUMBER = re.compile(r"[+-]?(?:\d{1,6}(?:[.,]\d{0,6})?|[.,]\d{1,6})", re.ASCII)
_DRAWS = ("0", "DRAW", "JIGO")


def _number(text: str) -> float | None:
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def parse_result(text: str) -> tuple[int | None, float | None]:
    """Outcome and margin, as in `Game`, of a result as SGF and the Go Text Protocol write it."""
    recorded = text.upper()
    if recorded in _DRAWS:
        return 0, 0.0
    winner, plus, score = recorded.partition("+")
    outcome = {"B": 1, "BLACK": 1, "W": -1, "WHITE": -1}.get(winner.strip())
    if not plus or outcome is None:
        return None, None
    margin = _number(score.strip())
    if margin == 0:
        return 0, 0.0
    return outcome, None if margin is None else outcome * margin


def _komi(text: str) -> float | None:
    komi = _number(text)
    return None if komi is None or abs(komi) > MAX_KOMI else komi


def _handicap(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,2}", text, re.ASCII) else 0
