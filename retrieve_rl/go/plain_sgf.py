"""The form that most game texts have, read by one regular expression instead of token by token."""

import re
from operator import add
from typing import NamedTuple

from retrieve_rl.go.points import BLACK, NUM_POINTS, PASS, SIZE, WHITE

_PLAIN = re.compile(
    rb"""
    ( \( \s*+ ; (?: [A-Za-z\s]++ | \[ [^\\\]]*+ (?: \\. [^\\\]]*+ )*+ \] )*+ )
    ( (?: ; [BW] \[ (?: [a-i][a-i] | tt )? \] \s*+ (?: [BW]L \[ [0-9.]*+ \] \s*+ )? )++ )
    \) \s*+
    """,
    re.DOTALL | re.VERBOSE,
)
_CLOCK = re.compile(rb"[BW]L\[[0-9.]*\]")
_SPACE = b" \t\n\r\f\v"
_NODE_BYTES = len(b";B[ee]")


def _move_names() -> dict[bytes, int]:
    letters = b"abcdefghi"[:SIZE]
    points = {
        bytes((letters[column], letters[row])): row * SIZE + column
        for row in range(SIZE)
        for column in range(SIZE)
    }
    # FF[3] writes a pass as tt; so do programs of today.
    return {**points, b"": PASS, b"tt": PASS}


MOVES = _move_names()
"""What SGF calls the moves on 9x9."""

# A move is the sum of what its two letters stand for; of tt, a pass, the first stands for all.
_COLUMNS = bytes.maketrans(b"abcdefghit", bytes((*range(SIZE), PASS)))
_ROWS = bytes.maketrans(b"abcdefghit", bytes((*range(0, NUM_POINTS, SIZE), 0)))


class PlainGame(NamedTuple):
    """A game text in two parts.

    Attributes:
      root: the text of a game that has the root node alone.
      moves: of the other nodes, one byte each.
      first_color: BLACK or WHITE, who makes the first of them.
    """

    root: bytes
    moves: bytes
    first_color: int


def plain_game(text: bytes) -> PlainGame | None:
    """Splits a text without variations, each of whose nodes but the root holds a move in turn, and
    a clock at most; None for any other, which may be a game all the same."""
    found = _PLAIN.fullmatch(text)
    if found is None:
        return None
    root, nodes = found.groups()
    nodes = nodes.translate(None, _SPACE)
    if b"L" in nodes:
        nodes = _CLOCK.sub(b"", nodes)
    nodes = nodes.replace(b"[]", b"[tt]")
    colors = nodes[1::_NODE_BYTES]
    first, second = (b"B", b"W") if colors.startswith(b"B") else (b"W", b"B")
    if colors[0::2].strip(first) or colors[1::2].strip(second):
        return None
    columns = nodes[3::_NODE_BYTES].translate(_COLUMNS)
    rows = nodes[4::_NODE_BYTES].translate(_ROWS)
    moves = bytes(map(add, columns, rows))
    return PlainGame(root + b")", moves, BLACK if first == b"B" else WHITE)
