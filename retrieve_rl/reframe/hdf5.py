"""Reading HDF5 files that somebody else wrote.

An HDF5 file can point outside itself (external links, virtual data sets, external storage) and can
declare any size. Only plain numeric data sets that lie in the file itself are read. The calls are
h5py's low-level ones: a data set of thousands of episodes is tens of thousands of small arrays.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from retrieve_rl.errors import DataError

# Arrays that unpack to more than this many times the size of their file are refused.
_MAX_EXPANSION = 100
_ALWAYS_ALLOWED_BYTES = 1 << 20
# What h5py makes of the errors of its library, by where in a damaged file they are met.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.Group]:
    """Opens a file for reading and yields its root group.

    Raises:
      DataError: there is no such file, or it is not whole HDF5.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    try:
        file = h5py.File(path, "r")
    except _DAMAGE as error:
        raise DataError(f"{path} cannot be read as HDF5 (cut or damaged?): {error}") from None
    with file:
        yield file


def read_group(group: h5py.Group, name: str) -> h5py.Group:
    """The group `name` inside `group`. Raises DataError."""
    with _damage_reported(group, name):
        found = _open(group, name)
        if not isinstance(found, h5py.h5g.GroupID):
            raise DataError(f"{_place(group, name)} is an array, expected a group")
        return h5py.Group(found)


def read_array(group: h5py.Group, name: str, ndim: int, *, rows: int | None = None) -> np.ndarray:
    """The numeric array `name` inside `group`, as stored.

    Args:
      ndim: number of axes it must have.
      rows: length its first axis must have.

    Raises:
      DataError: missing, a link, of another shape, not numeric, or not readable.
    """
    with _damage_reported(group, name):
        return _read_array(group, name, ndim, rows)


def _read_array(group: h5py.Group, name: str, ndim: int, rows: int | None) -> np.ndarray:
    found = _open(group, name)
    if not isinstance(found, h5py.h5d.DatasetID):
        raise DataError(f"{_place(group, name)} is a group, expected a flat numeric array")
    layout = found.get_create_plist()
    if layout.get_layout() == h5py.h5d.VIRTUAL or layout.get_external_count():
        raise DataError(f"{_place(group, name)} keeps its data in other files, which is refused")
    shape, dtype = found.shape, found.dtype
    if dtype.kind not in "fiub" or dtype.subdtype is not None:
        raise DataError(f"{_place(group, name)} has type {dtype}, expected numbers")
    if shape is None or len(shape) != ndim or (rows is not None and shape[0] != rows):
        expected = f"{ndim} axes" + ("" if rows is None else f" and {rows} rows")
        raise DataError(f"{_place(group, name)} has shape {shape}, expected {expected}")
    _check_size(group, name, math.prod(shape) * dtype.itemsize)
    array = np.empty(shape, dtype)
    found.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    return array


def read_flags(group: h5py.Group, name: str, rows: int) -> np.ndarray:
    """[rows] bool from an array of booleans or of zeros and ones. Raises DataError with the row."""
    values = read_array(group, name, 1, rows=rows)
    if values.dtype == np.bool_:
        return values
    bad = np.flatnonzero((values != 0) & (values != 1))
    if len(bad):
        raise DataError(f"{_place(group, name)} row {bad[0]} is {values[bad[0]]}, expected 0 or 1")
    return values.astype(np.bool_)


def _open(group: h5py.Group, name: str) -> h5py.h5d.DatasetID | h5py.h5g.GroupID:
    key, links = name.encode(), group.id.links
    if not links.exists(key):
        present = ", ".join(sorted(group)[:12]) or "nothing"
        raise DataError(f"{_place(group, name)} is missing; there are: {present}")
    if links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise DataError(f"{_place(group, name)} is a link, which is refused: copy the data instead")
    return h5py.h5o.open(group.id, key)


@contextmanager
def _damage_reported(group: h5py.Group, name: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DataError(f"{_place(group, name)} cannot be read (damaged?): {error}") from None


def _check_size(group: h5py.Group, name: str, declared: int) -> None:
    if declared <= _ALWAYS_ALLOWED_BYTES:
        return
    if declared > _MAX_EXPANSION * Path(group.file.filename).stat().st_size:
        raise DataError(
            f"{_place(group, name)} declares {declared} bytes, far more than its file can hold"
        )


def _place(group: h5py.Group, name: str) -> str:
    return f"{group.file.filename}: '{str(group.name).rstrip('/')}/{name}'"
