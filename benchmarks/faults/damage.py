"""Flipped bits, cut files and foreign parts: noticed before a native reader sees a byte of them."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

from retrieve_rl.artifacts import MANIFEST_NAME
from retrieve_rl.errors import DataError

Read = Callable[[], object]
_SHOWN = 200


@dataclass
class Noticed:
    """How many damages were tried and noticed; `wrong` tells of each that was not, or too late."""

    tried: int = 0
    noticed: int = 0
    wrong: list[str] = field(default_factory=list)


def flip_bits(folder: Path, read: Read, count: int, seed: int = 0) -> Noticed:
    """Flips `count` times one random bit of a random file below the folder."""
    drawn, noticed = random.Random(seed), Noticed()
    files = files_below(folder)
    for _ in range(count):
        file = drawn.choice(files)
        data = bytearray(file.read_bytes())
        if not data:
            continue
        place, bit = drawn.randrange(len(data)), drawn.randrange(8)
        data[place] ^= 1 << bit
        _try(noticed, file, bytes(data), read, f"bit {bit} of byte {place}")
    return noticed


def cut_files(folder: Path, read: Read) -> Noticed:
    """Cuts every file below the folder to nothing, one byte, half, and all but one byte."""
    noticed = Noticed()
    for file in files_below(folder):
        data = file.read_bytes()
        for length in sorted({0, 1, len(data) // 2, len(data) - 1} & set(range(len(data)))):
            _try(noticed, file, data[:length], read, f"cut to {length} bytes")
    return noticed


def swap_parts(folder: Path, other: Path, parts: dict[str, str], read: Read) -> Noticed:
    """Puts a part of another, sound folder where the same part was, and back.

    Args:
      parts: place in the folder -> place in the other one; patterns that match one path each.
    """
    noticed = Noticed()
    for name, name_there in parts.items():
        (mine,), (theirs,) = folder.glob(name), other.glob(name_there)
        kept = folder / ".kept"
        mine.rename(kept)
        (shutil.copytree if theirs.is_dir() else shutil.copyfile)(theirs, mine)
        _count(noticed, read, None, f"{name} of another run")
        shutil.rmtree(mine) if mine.is_dir() else mine.unlink()
        kept.rename(mine)
    return noticed


def files_below(folder: Path) -> list[Path]:
    """Every file of artifacts and every result below the folder."""
    artifacts = [manifest.parent for manifest in folder.rglob(MANIFEST_NAME)]
    found = {path for one in artifacts for path in one.rglob("*") if path.is_file()}
    return sorted({*found, *folder.rglob("result.json")})


def _try(noticed: Noticed, file: Path, data: bytes, read: Callable[[], object], story: str) -> None:
    sound = file.read_bytes()
    file.write_bytes(data)
    _count(noticed, read, file, f"{file}: {story}")
    file.write_bytes(sound)


def _count(noticed: Noticed, read: Callable[[], object], file: Path | None, story: str) -> None:
    noticed.tried += 1
    with _native_readers() as opened:
        try:
            read()
        except DataError as error:
            if file is not None and file in opened:
                noticed.wrong.append(f"{story}: read before it was checked")
            elif file is not None and str(file) not in str(error):
                noticed.wrong.append(f"{story}: the file is not named: {str(error)[:_SHOWN]}")
            else:
                noticed.noticed += 1
        except Exception as error:
            noticed.wrong.append(f"{story}: {type(error).__name__}: {str(error)[:_SHOWN]}")
        else:
            noticed.wrong.append(f"{story}: not noticed")


@contextmanager
def _native_readers() -> Iterator[set[Path]]:
    """The files that NumPy, HDF5 and ScaNN are given while the block runs."""
    from scann.scann_ops.py import scann_ops_pybind

    opened: set[Path] = set()

    def noting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, *arguments: Any, **options: Any) -> Any:
            path = Path(getattr(file, "name", file))
            opened.update(path.iterdir() if path.is_dir() else [path])
            return real(file, *arguments, **options)

        return call

    with (
        mock.patch.object(np, "load", noting(np.load)),
        mock.patch.object(h5py, "File", noting(h5py.File)),
        mock.patch.object(
            scann_ops_pybind, "load_searcher", noting(scann_ops_pybind.load_searcher)
        ),
    ):
        yield opened
