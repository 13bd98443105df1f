"""Values beside the keys: memory-mapped columns of one row per key."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from retrieve_rl.errors import DataError
from retrieve_rl.types import Array

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Column:
    """One array of values, cut into segments of consecutive rows; nothing is copied to open it.

    Attributes:
      segments: arrays that differ in their number of rows only.
    """

    segments: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(map(len, self.segments))

    def take(self, indices: Int[Array, "*B"]) -> np.ndarray:
        """The rows at `indices`, shape [*B, ...]; zeros where the index is -1."""
        first = self.segments[0]
        indices = np.asarray(indices)
        if len(self.segments) == 1 and indices.ndim and np.all(indices >= 0):
            return np.asarray(first)[indices]
        taken = np.zeros((*indices.shape, *first.shape[1:]), first.dtype)
        start = 0
        for segment in self.segments:
            here = (indices >= start) & (indices < start + len(segment))
            taken[here] = segment[indices[here] - start]
            start += len(segment)
        return taken


def check_columns(columns: Mapping[str, np.ndarray], num_rows: int) -> None:
    """Raises DataError for a name no file could have, or a column with another number of rows."""
    for name, column in columns.items():
        if not _NAME.fullmatch(name):
            raise DataError(f"value name {name!r}: use letters, digits, - and _ (at most 64)")
        if column.ndim == 0 or len(column) != num_rows:
            raise DataError(f"values {name!r} have shape {column.shape}; expected {num_rows} rows")
        if column.dtype.kind not in "biufc":
            raise DataError(f"values {name!r} hold {column.dtype}; expected numbers")


def write_segment(folder: Path, columns: Mapping[str, np.ndarray]) -> None:
    """One npy file a column."""
    folder.mkdir(parents=True)
    for name, column in columns.items():
        with open(folder / f"{name}.npy", "wb") as file:
            np.save(file, column, allow_pickle=False)


def open_columns(folders: Sequence[Path]) -> dict[str, Column]:
    """The columns whose segments lie in `folders`, in this order."""
    names = sorted(path.stem for path in folders[0].glob("*.npy")) if folders else []
    return {
        name: Column(
            tuple(
                np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for folder in folders
            )
        )
        for name in names
    }
