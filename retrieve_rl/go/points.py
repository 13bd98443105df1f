"""Colors, points and moves of 9x9 Go as small numbers.

A point is `row * 9 + column`, row 0 at the top, as in SGF (`aa` is point 0, `ba` point 1) and pgx.
A move is a point or `PASS`; `NO_MOVE` stands where there is none.
"""

import re

import numpy as np

SIZE = 9
NUM_POINTS = SIZE * SIZE
PASS = NUM_POINTS
NUM_MOVES = NUM_POINTS + 1
NO_MOVE = NUM_POINTS + 1

EMPTY, BLACK, WHITE = 0, 1, 2

PACKED_BYTES = 21
_POINTS_A_BYTE = 4


def pack_boards(boards: np.ndarray) -> np.ndarray:
    """[..., 81] colors -> [..., 21] uint8: two bits a point, the first point lowest.

    The six spare bits of the last byte are zero.
    """
    padded = np.zeros((*boards.shape[:-1], PACKED_BYTES * _POINTS_A_BYTE), np.uint8)
    padded[..., :NUM_POINTS] = boards
    # Four points are a word; the upper two join the lower two, and then the second the first.
    words = padded.view("<u4")
    words |= words >> 12
    words |= words >> 6
    return words.astype(np.uint8)


def unpack_boards(packed: np.ndarray) -> np.ndarray:
    """[..., 21] uint8 -> [..., 81] colors, the inverse of `pack_boards`; NumPy or JAX arrays."""
    shifts = np.arange(0, 2 * _POINTS_A_BYTE, 2, dtype=np.uint8)
    points = (packed[..., None] >> shifts) & np.uint8(3)
    return points.reshape(*packed.shape[:-1], -1)[..., :NUM_POINTS]


COLUMN_LETTERS = "ABCDEFGHJ"
"""Columns from left to right; I is left out, for it looks like J. Rows count from 1 below."""


def vertex_of(move: int) -> str:
    """A point or PASS as the Go Text Protocol writes it: "A9" is the top left corner, "pass"."""
    if move == PASS:
        return "pass"
    row, column = divmod(move, SIZE)
    return f"{COLUMN_LETTERS[column]}{SIZE - row}"


_VERTEX = re.compile(f"([{COLUMN_LETTERS}])([1-{SIZE}])")


def move_of(vertex: str) -> int:
    """The inverse of `vertex_of`; capitals or not. Raises ValueError for what is no move on 9x9."""
    text = vertex.strip().upper()
    if text == "PASS":
        return PASS
    found = _VERTEX.fullmatch(text)
    if not found:
        raise ValueError(f"{vertex!r} is no move on 9x9: expected one like E5, or pass")
    return (SIZE - int(found[2])) * SIZE + COLUMN_LETTERS.index(found[1])


def text_of(moves: bytes) -> str:
    """Moves, one byte each, as vertices with spaces between them: "E5 C3 pass"."""
    return " ".join(map(vertex_of, moves))


def moves_of(text: str) -> bytes:
    """The inverse of `text_of`. Raises ValueError as `move_of` does."""
    return bytes(map(move_of, text.split()))
