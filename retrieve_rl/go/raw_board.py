"""The control without a network: the position with the most similar stones."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int, UInt32

from retrieve_rl.go.asking import TurnedNeighbors, merge
from retrieve_rl.go.data import GoData
from retrieve_rl.go.index import in_store
from retrieve_rl.go.points import BLACK, WHITE, unpack_boards
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.symmetries import turn_boards
from retrieve_rl.results import Run
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.types import Array

_ROWS_AT_ONCE = 262_144
_KEYS_IN_STEP = 16
_ROW_BITS = 24
"""Of a row's number within a part; its distance, at most 162, stands above them in a word."""


def nearest_boards(
    data: GoData, rows: Int[np.ndarray, " B"], orientations: int, run: Run
) -> TurnedNeighbors:
    """The nearest training position of each held-out one; indices are rows of the store.

    Distances count the points that differ; one with stones of both players counts twice.

    Raises:
      Interrupted: a signal came.
    """
    asking = data.store.positions.take(rows)
    queries = _words(np.concatenate([stones(asking, turn) for turn in range(orientations)]))
    nearest = _nearest(data, queries, run)
    found = [
        Neighbors(*(part[turn * len(rows) :][: len(rows)] for part in nearest))
        for turn in range(orientations)
    ]
    return in_store(data, merge(found, 1))


def stones(positions: Positions, symmetry: int) -> Bool[np.ndarray, "N 162"]:
    """Own stones, then the opponent's; each board turned."""
    boards = turn_boards(unpack_boards(np.asarray(positions.boards)), symmetry)
    own = positions.to_move[:, None]
    return np.concatenate([boards == own, boards == BLACK + WHITE - own], axis=1)


def _nearest(data: GoData, queries: UInt32[np.ndarray, "B W"], run: Run) -> Neighbors:
    """The nearest training position of each query, the first of several; a part at a time."""
    rows, positions = data.training_rows, data.store.positions
    indices = np.full(len(queries), -1, np.int32)
    distances = np.full(len(queries), np.inf, np.float32)
    with run.reporter.track("comparing raw boards", len(rows)) as advance:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            run.stop.raise_if_requested("all is kept but the report: run again to go on")
            part = positions.take(rows[start : start + _ROWS_AT_ONCE])
            found = np.asarray(_nearest_in_part(_words(stones(part, 0)), queries))
            distance = (found >> _ROW_BITS).astype(np.float32)
            row = (found & (2**_ROW_BITS - 1)).astype(np.int32)
            nearer = distance < distances
            distances = np.where(nearer, distance, distances)
            indices = np.where(nearer, row + start, indices)
            advance(start + part.num_positions)
    return Neighbors(indices[:, None], distances[:, None])


def _words(bits: Bool[np.ndarray, "N 162"]) -> UInt32[np.ndarray, "N W"]:
    """The bits, 32 of them in a word; the last word is filled up with zeros."""
    packed = np.packbits(bits, axis=1)
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4))).view(np.uint32)


@jax.jit
def _nearest_in_part(
    keys: UInt32[Array, "N W"], queries: UInt32[Array, "B W"]
) -> UInt32[Array, " B"]:
    """The number of bits that differ from the nearest key, and below it in the word that key's row.

    The least of such words is the nearest, and the first of those that are equally near.
    """
    # The last key once more: it comes after its original, so that it is never the least.
    keys = jnp.pad(keys, ((0, -len(keys) % _KEYS_IN_STEP), (0, 0)), mode="edge")
    numbers = jnp.arange(len(keys), dtype=jnp.uint32)
    columns = queries.T

    def step(
        least: UInt32[Array, " B"], block: tuple[UInt32[Array, "R W"], UInt32[Array, " R"]]
    ) -> tuple[UInt32[Array, " B"], None]:
        for key, number in zip(*block, strict=True):
            pairs = zip(key, columns, strict=True)
            differ = sum(jax.lax.population_count(word ^ column) for word, column in pairs)
            least = jnp.minimum(least, differ << _ROW_BITS | number)
        return least, None

    blocks = keys.reshape(-1, _KEYS_IN_STEP, keys.shape[1]), numbers.reshape(-1, _KEYS_IN_STEP)
    none = jnp.full(len(queries), np.iinfo(np.uint32).max, jnp.uint32)
    return jax.lax.scan(step, none, blocks)[0]
