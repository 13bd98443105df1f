"""What a user brings to be indexed."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.retrieval.keys import check_shape
from retrieve_rl.retrieval.values import check_columns


class Rows(NamedTuple):
    """A row of everything per key.

    Attributes:
      keys: finite float32, in memory or memory-mapped.
      values: columns by name.
      groups: the group (game, trajectory) of every row.
      second_half: rows of the second of two halves, each searched by the other's queries.
    """

    keys: Float[np.ndarray, "N D"]
    values: Mapping[str, np.ndarray] = {}
    groups: Int[np.ndarray, " N"] | None = None
    second_half: Bool[np.ndarray, " N"] | None = None


def check(rows: Rows) -> None:
    """Raises DataError where shapes or types do not fit together; reads no key."""
    check_shape(rows.keys, "the key matrix")
    check_columns(rows.values, len(rows.keys))
    for name in ("groups", "second_half"):
        column = getattr(rows, name)
        if column is not None and column.shape != (len(rows.keys),):
            raise DataError(f"{name} have shape {column.shape}; expected {len(rows.keys)} rows")
    if rows.groups is not None and not np.issubdtype(rows.groups.dtype, np.integer):
        raise DataError(f"groups hold {rows.groups.dtype}; expected whole numbers")
    if rows.groups is not None and rows.groups.min() < 0:
        row = int(np.argmin(rows.groups))
        raise DataError(f"groups hold {rows.groups[row]} in row {row}; expected 0 or more")
    if rows.groups is not None and rows.groups.max() > np.iinfo(np.int64).max:
        row = int(np.argmax(rows.groups))
        raise DataError(f"groups hold {rows.groups[row]} in row {row}; expected less than 2^63")
    if rows.second_half is not None and rows.second_half.dtype != bool:
        raise DataError(f"second_half holds {rows.second_half.dtype}; expected bool")
    if rows.second_half is not None and len(np.unique(rows.second_half)) < 2:
        raise DataError("all rows are in one half: two halves need two groups at least")


def digests_beside_keys(rows: Rows) -> dict[str, str]:
    """Digests of the values, groups and halves, by name."""
    digests = {"values": artifacts.sha256_of_arrays(rows.values)}
    for name in ("groups", "second_half"):
        if (column := getattr(rows, name)) is not None:
            digests[name] = artifacts.sha256_of_arrays({name: column})
    return digests


def bytes_beside_keys(rows: Rows) -> int:
    """Bytes of the values and groups."""
    columns = [*rows.values.values(), *([] if rows.groups is None else [rows.groups])]
    return sum(column.nbytes for column in columns)
