"""The eight symmetries of the board, as tables and pure functions.

Symmetry s mirrors the board left to right where `s & 1`, then top to bottom where `s & 2`, then
over the main diagonal where `s & 4`; 0 is the identity. The functions take NumPy and JAX arrays;
symmetries and what they act on broadcast against each other.
"""

import numpy as np

from retrieve_rl.go.points import NO_MOVE, NUM_POINTS, PASS, SIZE

NUM_SYMMETRIES = 8


def _images() -> np.ndarray:
    rows, columns = np.divmod(np.arange(NUM_POINTS), SIZE)
    images = np.empty((NUM_SYMMETRIES, NO_MOVE + 1), dtype=np.uint8)
    for symmetry in range(NUM_SYMMETRIES):
        row, column = rows, columns
        if symmetry & 1:
            column = SIZE - 1 - column
        if symmetry & 2:
            row = SIZE - 1 - row
        if symmetry & 4:
            row, column = column, row
        images[symmetry, :NUM_POINTS] = row * SIZE + column
    images[:, PASS] = PASS
    images[:, NO_MOVE] = NO_MOVE
    return images


IMAGES = _images()
"""[8, 83] uint8: where each symmetry takes a move; `PASS` and `NO_MOVE` stay."""

INVERSES = np.argmax((IMAGES[:, IMAGES] == np.arange(NO_MOVE + 1)).all(axis=-1), axis=0)
"""[8]: the symmetry that undoes each."""


PRODUCTS = np.argmax((IMAGES[:, IMAGES].swapaxes(0, 1)[:, :, None] == IMAGES).all(axis=-1), axis=-1)
"""[8, 8]: `PRODUCTS[first, then]` is the symmetry that does what the two do one after the other."""


def turn_moves(moves: np.ndarray, symmetry: np.ndarray | int) -> np.ndarray:
    """The images of moves, points, `PASS` or `NO_MOVE`; shapes broadcast."""
    return _table(moves, IMAGES)[symmetry, moves]


def turn_boards(boards: np.ndarray, symmetry: np.ndarray | int) -> np.ndarray:
    """Boards [..., 81] (or a value a move, [..., 82]) with every point at its image.

    `symmetry` is one number or has the shape of the leading axes.
    """
    xp = boards.__array_namespace__()
    # The content of a point comes from where the inverse takes that point.
    origins = _table(boards, IMAGES[INVERSES])[symmetry, : boards.shape[-1]].astype(np.int32)
    origins = xp.broadcast_to(origins, boards.shape)
    return xp.take_along_axis(boards, origins, axis=-1)


def _table(like: np.ndarray, table: np.ndarray) -> np.ndarray:
    # A NumPy table cannot be indexed by what jit traces.
    return like.__array_namespace__().asarray(table)
