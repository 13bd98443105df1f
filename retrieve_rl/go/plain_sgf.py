"""The form that most game texts have, read by one regular expression instead of token by token."""

import re
from operator import add
from typing import NamedTuple

from retrieve_rl.go.points import BLACK, NUM_POINTS, PASS, SIZE, WHITE

Properties = dict[str, list[bytes]]
"""The values of each property of a node as they are written, escapes included."""

_VALUE = rb"[^\\\]]*+ (?: \\. [^\\\]]*+ )*+"
_PLAIN = re.compile(
    rb"""
    \( \s*+ ; ( (?: \s*+ [A-Z]{1,64}+ (?: \s*+ \[ %b \] )++ )*+ ) \s*+
    ( (?: ; [BW] \[ (?: [a-i][a-i] | tt )? \] \s*+ (?: [BW]L \[ [0-9.]*+ \] \s*+ )? )++ )
    \) \s*+
    """
    % _VALUE,
    re.DOTALL | re.VERBOSE,
)
_PROPERTY = re.compile(rb"\s*+ ([A-Z]*+) \s*+ \[ (%b) \]" % _VALUE, re.DOTALL | re.VERBOSE)
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
      root: the properties of the root node.
      moves: of the other nodes, one byte each.
      first_color: BLACK or WHITE, who makes the first of them.
    """

    root: Properties
    moves: bytes
    first_color: int


def plain_game(text: bytes) -> PlainGame | None:
    """Splits a text without variations, each of whose nodes but the root holds a move in turn, and
    a clock at most, the root none; None for any other, which may be a game all the same."""
    found = _PLAIN.fullmatch(text)
    if found is None:
        return None
    root = _properties(found[1])
    if "B" in root or "W" in root:
        return None
    nodes = found[2].translate(None, _SPACE)
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
    return PlainGame(root, moves, BLACK if first == b"B" else WHITE)


def _properties(node: bytes) -> Properties:
    properties: Properties = {}
    for name, value in _PROPERTY.findall(node):
        if name:  # else it is one more value of the same property
            values = properties.setdefault(name.decode(), [])
        values.append(value)
    return properties
