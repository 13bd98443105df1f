"""Array files that somebody else wrote: plain npy and npz, never a pickle."""

from pathlib import Path

import numpy as np

from retrieve_rl.artifacts import load_arrays
from retrieve_rl.errors import DataError

_NPY, _NPZ = b"\x93NUMPY", b"PK"


def open_array(path: Path, *, mapped: bool = False) -> np.ndarray:
    """The array in an npy file; memory-mapped, only its header is read.

    Raises:
      DataError: missing, not one whole npy array, or one of Python objects.
    """
    _check_kind(path, _NPY, "an npy file, as numpy.save writes it")
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except Exception as error:  # a damaged header fails anywhere in NumPy and Python's own parser
        raise DataError(f"{path} is not a whole npy file of numbers: {error}") from None


def open_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in an npz file, by name.

    Raises:
      DataError: missing, not a whole npz file, or one that holds Python objects.
    """
    _check_kind(path, _NPZ, "an npz file, as numpy.savez writes it")
    try:
        return load_arrays(path)
    except Exception as error:  # so does a damaged archive
        raise DataError(f"{path} is not a whole npz file of numbers: {error}") from None


def _check_kind(path: Path, magic: bytes, expected: str) -> None:
    if not path.is_file():
        raise DataError(f"{path} is not there, or no file; expected {expected}")
    with open(path, "rb") as file:
        if file.read(len(magic)) != magic:
            raise DataError(f"{path} is something else; expected {expected}")
