"""Key matrices on disk: written in resumable chunks, memory-mapped, checked before any search."""

import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from retrieve_rl.errors import DataError
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.array_files import open_array
from retrieve_rl.retrieval.row_files import RowType, fill_rows
from retrieve_rl.signals import StopRequest
from retrieve_rl.types import Array

KIND = "keys"
FILE_NAME = "keys.npy"
_CHUNK_BYTES = 2**26
_LARGEST = 1e15
"""Of a number in a key; the sum of its squares over any width is then far below float32's end."""


class Extent(NamedTuple):
    """The smallest and the largest number of each dimension of some keys."""

    low: Float[np.ndarray, " D"]
    high: Float[np.ndarray, " D"]


EncodeFn = Callable[[int, int], Float[Array, "R D"]]


def open_keys(path: Path) -> Float[np.ndarray, "N D"]:
    """The matrix in an npy file, memory-mapped; only its header is read.

    Raises:
      DataError: not a readable npy file, truncated, not float32, not two-dimensional, or empty.
    """
    keys = open_array(path, mapped=True)
    check_shape(keys, str(path))
    return keys


def check_shape(keys: np.ndarray, name: str) -> None:
    """Raises DataError unless `keys` is a float32 matrix with at least one row and column."""
    if keys.ndim != 2:
        raise DataError(f"{name} has shape {keys.shape}; expected [rows, width]")
    if keys.dtype != np.float32:
        raise DataError(f"{name} holds {keys.dtype}; expected float32: save keys.astype('float32')")
    if 0 in keys.shape:
        raise DataError(f"{name} has shape {keys.shape}; expected at least one row and one column")


def check_finite(keys: Float[Array, "R D"], name: str, *, first_row: int = 0) -> None:
    """Raises DataError, with the first offending row, where a key is NaN, infinite or so large that
    a squared distance would be.

    ScaNN ends the process at such a key and answers such a query with rows of zeros.
    """
    if not keys.size or (-_LARGEST <= keys.min() and keys.max() <= _LARGEST):
        return
    row = int(np.argmin((np.abs(keys) <= _LARGEST).all(axis=1)))
    found = "is too large" if np.isfinite(keys[row]).all() else "is not finite"
    raise DataError(f"{name} {found} in row {first_row + row}; remove that row or mend it")


def extent_of(keys: Float[np.ndarray, "R D"], name: str, *, first_row: int = 0) -> Extent:
    """Of finite keys. Raises DataError as `check_finite`."""
    extent = Extent(keys.min(axis=0), keys.max(axis=0))
    if not (np.all(extent.low >= -_LARGEST) and np.all(extent.high <= _LARGEST)):
        check_finite(keys, name, first_row=first_row)
    return extent


def as_queries(queries: Float[Array, "B D"], dim: int) -> Float[np.ndarray, "B D"]:
    """float32 queries on the host, for an index of width `dim`.

    Raises:
      ValueError: another shape.
      DataError: see `check_finite`.
    """
    found = np.asarray(queries)
    if found.ndim != 2:
        raise ValueError(f"queries have shape {found.shape}; expected [B, {dim}]")
    if found.shape[1] != dim:
        raise ValueError(f"keys have width {dim}, queries {found.shape[1]}")
    with np.errstate(over="ignore"):  # what overflows is infinite then, and refused
        found = found.astype(np.float32, copy=False)
    check_finite(found, "the query matrix")
    return found


@contextmanager
def read_at_random(keys: Float[Array, "N D"]) -> Iterator[None]:
    """While the block runs, single rows of memory-mapped keys are read without their neighborhood.

    The system reads megabytes ahead otherwise, for every row that is not in memory.
    """
    mapped = getattr(keys, "_mmap", None)
    if mapped is None or not hasattr(mapped, "madvise"):
        yield
        return
    mapped.madvise(mmap.MADV_RANDOM)
    try:
        yield
    finally:
        mapped.madvise(mmap.MADV_NORMAL)


def chunks(keys: Float[Array, "N D"]) -> Iterator[tuple[int, Float[Array, "R D"]]]:
    """(first row, rows) in order, a few at a time."""
    rows = max(1, _CHUNK_BYTES // (4 * keys.shape[1]))
    for start in range(0, len(keys), rows):
        yield start, keys[start : start + rows]


def encode_keys(
    encode: EncodeFn,
    num_rows: int,
    dim: int,
    out: Path,
    *,
    made_from: Mapping[str, str],
    chunk_rows: int,
    reporter: Reporter,
    stop: StopRequest,
) -> Path:
    """Fills the key matrix of the artifact `out` by `encode(start, stop)`, chunk after chunk.

    Resumable, see `row_files.fill_rows`; `made_from` names the records and the encoder. Returns the
    path of the npy file.

    Args:
      chunk_rows: encoded at once; a signal waits for them.

    Raises:
      DataError: `encode` returns rows of another shape, or a number that is not finite.
    """

    def compute(start: int, end: int) -> dict[str, np.ndarray]:
        rows = np.asarray(encode(start, end), np.float32)
        if rows.shape != (end - start, dim):
            raise DataError(f"encoded rows have shape {rows.shape}, expected {(end - start, dim)}")
        check_finite(rows, "the encoded key matrix", first_row=start)
        return {"keys": rows}

    fill_rows(
        out,
        {"keys": RowType(np.float32, (dim,))},
        num_rows,
        compute,
        kind=KIND,
        made_from=made_from,
        chunk_rows=chunk_rows,
        title="encoding keys",
        reporter=reporter,
        stop=stop,
    )
    return out / FILE_NAME
