"""A disk that fails, or a process that dies, at the n-th call that changes a folder.

Everything that Python writes goes through a dozen functions: they are replaced while a block runs.
A death is acted out in this process: `Killed` is no Exception, so that nothing but `finally` sees
it, and from then on no call changes the disk any more, nor do bytes that were still in a buffer. So
one process can die a hundred times in the time that starting one would take.

What native libraries write is not seen; they write into folders that are not visible yet.
"""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from retrieve_rl import durable

Mode = Literal["fail", "die"]
_TWO_NAMES = ("rename", "replace", "link")
_ONE_NAME = ("mkdir",)
_REMOVALS = ("unlink", "remove", "rmdir")
"""A disk that is full still removes."""


class Killed(BaseException):
    """The process is dead."""


@dataclass
class Shim:
    """Counts the calls that change something below a folder, and strikes at one of them.

    Attributes:
      root: what lies elsewhere is not counted.
      at: which call does not succeed, from 1; 0 for none.
      mode: "fail": the disk is full, once; "die": nothing happens any more.
      calls: what was called, in order, as "fsync runs/x/result.json".
    """

    root: Path
    at: int = 0
    mode: Mode = "fail"
    calls: list[str] = field(default_factory=list)
    dead: bool = False
    _open: list[Any] = field(default_factory=list)
    _writes: tuple[str, int] = ("", 0)

    def strike(self, name: str, path: str | Path, half: Callable[[], None] | None = None) -> None:
        """Called before a call takes place; `half` does half of it."""
        path = os.path.abspath(path)
        if not Path(path).is_relative_to(self.root):
            return
        if self.dead:
            raise Killed
        if self._is_one_of_many(name, path):
            return
        self.calls.append(f"{name} {os.path.relpath(path, self.root)}")
        if len(self.calls) != self.at:
            return
        if half is not None:
            half()
        if self.mode == "die":
            self._die()
            raise Killed
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def _is_one_of_many(self, name: str, path: str) -> bool:
        """Of writes to one file that follow one another the 1st, 2nd, 4th, 8th... are counted."""
        before, count = self._writes
        self._writes = (path, count + 1 if path == before else 1) if name == "write" else ("", 0)
        count = self._writes[1]
        return bool(count & (count - 1))

    def _die(self) -> None:
        """What is in buffers now is never written."""
        self.dead = True
        for file in self._open:
            if not file.closed:
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, file.fileno())
                os.close(nowhere)


class _File:
    """A file opened for writing."""

    def __init__(self, file: Any, shim: Shim, path: str) -> None:
        self._file, self._shim, self._path = file, shim, path

    def write(self, data: Any) -> int:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._shim.strike("write", self._path, half)
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@contextmanager
def shimmed(shim: Shim) -> Iterator[Shim]:
    """While the block runs, what Python changes below the shim's root is counted, and struck."""
    real_open, real_os = io.open, {name: getattr(os, name) for name in _names()}

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+"):
            return real_open(file, mode, *arguments, **options)
        path = _path_of(file)
        if not isinstance(file, int):
            shim.strike("open", path)
        real = real_open(file, mode, *arguments, **options)
        if not Path(path).is_relative_to(shim.root):
            return real
        shim._open.append(real)
        return _File(real, shim, path)

    def of_two(name: str) -> Callable[..., Any]:
        def call(source: Any, target: Any, **options: Any) -> Any:
            shim.strike(name, target)
            return real_os[name](source, target, **options)

        return call

    def of_one(name: str) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            place = _path_of(path, options.get("dir_fd"))
            changes = not os.path.exists(place) if name == "mkdir" else shim.mode == "die"
            if changes:
                shim.strike(name, place)
            return real_os[name](path, *arguments, **options)

        return call

    def fsync(file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        shim.strike("fsync", _path_of(number))
        real_os["fsync"](number)

    def exchange(one: Path, other: Path) -> bool:
        shim.strike("exchange", other)
        return real_exchange(one, other)

    real_exchange = durable.exchange
    changes: dict[str, Any] = {
        **{name: of_two(name) for name in _TWO_NAMES},
        **{name: of_one(name) for name in (*_ONE_NAME, *_REMOVALS)},
        "fsync": fsync,
    }
    with (
        mock.patch.multiple(os, **changes),
        mock.patch.object(builtins, "open", opened),
        mock.patch.object(io, "open", opened),
        mock.patch.object(durable, "exchange", exchange),
    ):
        yield shim


def _names() -> tuple[str, ...]:
    return (*_TWO_NAMES, *_ONE_NAME, *_REMOVALS, "fsync")


def _path_of(file: Any, folder: int | None = None) -> str:
    """Where a path, a descriptor, or a name in the folder of a descriptor lies."""
    if isinstance(file, int):
        return os.readlink(f"/proc/self/fd/{file}")
    if folder is not None:
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fspath(file))
    return os.path.abspath(os.fspath(file))
