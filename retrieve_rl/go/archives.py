"""SGF texts out of files, folders, collections and archives, one game at a time.

Nothing is unpacked to the disk, and no more than one game and one read is held in memory. What an
archive may do to its reader is bounded: members, bytes, compression ratio; links and paths that
leave the archive are refused.
"""

import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

from retrieve_rl.errors import DataError
from retrieve_rl.go.sgf import MAX_TEXT_BYTES

SUFFIXES = (".sgf", ".sgf.gz", ".tar.gz", ".zip")
MAX_MEMBERS = 200_000
MAX_BYTES = 16 * 2**30
MAX_RATIO = 100
_READ_BYTES = 2**18
# Below this size a high ratio harms nobody, and short repetitive files do reach it.
_RATIO_FREE_BYTES = 2**20


class GameText(NamedTuple):
    """One game as found.

    Attributes:
      source: name of the file, relative to the folder that was asked for.
      entry: number of the game in that file, from 0.
      text: its SGF; cut after MAX_TEXT_BYTES + 1 bytes where it is longer.
    """

    source: str
    entry: int
    text: bytes


def record_files(path: Path) -> list[Path]:
    """The files of records at `path`: itself, or all in the folder and below, by name.

    Raises:
      DataError: nothing there, or nothing of a kind this program reads.
    """
    if path.is_file():
        files = [path] if path.name.lower().endswith(SUFFIXES) else []
    elif path.is_dir():
        files = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and file.name.lower().endswith(SUFFIXES)
        )
    else:
        raise DataError(f"{path} does not exist: name a file or folder of game records")
    if not files:
        raise DataError(f"{path} holds no game records: expected {', '.join(SUFFIXES)}")
    return files


def game_texts(path: Path) -> Iterator[GameText]:
    """Streams the games of a file or folder in a fixed order.

    Raises:
      DataError: `record_files`' reasons; a damaged archive; one that breaks the limits above,
        holds a link, an encrypted member or a path out of itself.
    """
    for file in record_files(path):
        source = file.relative_to(path).as_posix() if path.is_dir() else file.name
        with _damage_reported(file):
            texts = (text for stream in _streams(file) for text in cut_games(stream))
            for entry, text in enumerate(texts):
                yield GameText(source, entry, text)


def _streams(file: Path) -> Iterator[IO[bytes]]:
    name = file.name.lower()
    if name.endswith(".zip"):
        yield from _zip_streams(file)
    elif name.endswith(".tar.gz"):
        yield from _tar_streams(file)
    else:
        with open(file, "rb") as raw:
            yield _inflated(file, raw) if name.endswith(".gz") else raw


class _BoundedReader:
    """Reads a gzip stream and stops where it grows beyond its bounds."""

    def __init__(self, file: Path, raw: IO[bytes]) -> None:
        self._file = file
        self._compressed_bytes = file.stat().st_size
        self._stream = gzip.GzipFile(fileobj=raw)
        self._given = 0

    def read(self, size: int = _READ_BYTES) -> bytes:
        data = self._stream.read(size)
        self._given += len(data)
        _check_size(self._file, self._given, self._compressed_bytes)
        return data


def _inflated(file: Path, raw: IO[bytes]) -> Any:
    return _BoundedReader(file, raw)


def _tar_streams(file: Path) -> Iterator[IO[bytes]]:
    with open(file, "rb") as raw:
        # "r|" reads forward only, and everything, headers too, through the bounded reader.
        with tarfile.open(fileobj=_inflated(file, raw), mode="r|") as archive:
            for number, member in enumerate(archive):
                _check_member(file, number, member.name)
                # A sparse file may be all hole: bytes that the reader below never counts.
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise DataError(f"{file}: {member.name!r} is no plain file; refused")
                if member.isreg() and member.name.lower().endswith(".sgf"):
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield stream


def _zip_streams(file: Path) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for number, member in enumerate(members):
            _check_member(file, number, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"{file}: {member.filename!r} is a link; refused")
        # A member never gives more than its declared size.
        _check_size(file, sum(member.file_size for member in members), file.stat().st_size)
        for member in members:
            if not member.is_dir() and member.filename.lower().endswith(".sgf"):
                with archive.open(member) as stream:
                    yield stream


def _check_member(file: Path, number: int, name: str) -> None:
    if number >= MAX_MEMBERS:
        raise DataError(f"{file} has more than {MAX_MEMBERS} members; refused: split it")
    windows = PureWindowsPath(name)
    if PurePosixPath(name).is_absolute() or windows.anchor or ".." in windows.parts:
        raise DataError(f"{file}: member {name[:200]!r} has a path out of the archive; refused")


def _check_size(file: Path, expanded: int, compressed: int) -> None:
    if expanded > MAX_BYTES:
        raise DataError(f"{file} expands to more than {MAX_BYTES} bytes; refused: split it")
    if expanded > _RATIO_FREE_BYTES and expanded > MAX_RATIO * compressed:
        raise DataError(
            f"{file} expands to more than {MAX_RATIO} times its {compressed} bytes; refused: game"
            " records compress to about a tenth"
        )


@contextmanager
def _damage_reported(file: Path) -> Iterator[None]:
    try:
        yield
    except (
        EOFError,
        NotImplementedError,  # a compression method zipfile lacks
        OSError,
        RuntimeError,  # an encrypted member
        ValueError,
        lzma.LZMAError,
        struct.error,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(f"{file} cannot be read: {error}; fetch it again") from error


_START = re.compile(rb"\(\s*;")
_ROOT = re.compile(rb"\(\s*;\s*(?:GM|FF|SZ|CA)\s*\[")
_PARTIAL_START = re.compile(rb"\(\s{0,1000}\Z")
# All but parentheses outside of values; possessive, for no text may make it try twice.
_INSIDE = re.compile(rb"(?:[^()\[]++|\[[^\\\]]*+(?:\\.[^\\\]]*+)*+\])*+", re.DOTALL)
_LOOKAHEAD = 64


def cut_games(stream: IO[bytes]) -> Iterator[bytes]:
    """Cuts a collection into the texts of its games, reading on as they are asked for.

    What stands between games is skipped. A game that lacks its last parenthesis ends where the
    next root begins, and is broken; one longer than MAX_TEXT_BYTES is given cut.
    """
    buffer, ended = b"", False
    start = position = depth = 0
    head = b""  # the beginning of a game too large to hold
    while True:
        if depth == 0:
            found = _START.search(buffer, position)
            if found:
                start, position, depth, head = found.start(), found.start() + 1, 1, b""
                continue
        else:
            inside = _INSIDE.match(buffer, position)
            assert inside is not None  # it matches the empty text
            position = inside.end()
            mark = buffer[position : position + 1]
            if mark == b")":
                position, depth = position + 1, depth - 1
                if depth == 0:
                    yield head or buffer[start:position][: MAX_TEXT_BYTES + 1]
                continue
            if mark == b"(" and (ended or position + _LOOKAHEAD <= len(buffer)):
                if _ROOT.match(buffer, position):
                    depth = 0
                    yield head or buffer[start:position][: MAX_TEXT_BYTES + 1]
                else:
                    position, depth = position + 1, depth + 1
                continue
            if ended:
                yield head or buffer[start:][: MAX_TEXT_BYTES + 1]
        if ended:
            return
        data = stream.read(_READ_BYTES)
        ended = not data
        if depth and not head and len(buffer) - start > MAX_TEXT_BYTES:
            head = buffer[start : start + MAX_TEXT_BYTES + 1]
        if depth == 0:
            partial = _PARTIAL_START.search(buffer, position)
            buffer, position = (partial.group() if partial else b"") + data, 0
        elif head:
            buffer, position = _without_value(buffer[position:]) + data, 0
        else:
            buffer, position, start = buffer[start:] + data, position - start, 0


def _without_value(rest: bytes) -> bytes:
    """`rest`, or where it is an unfinished value, the same with nothing in it."""
    if not rest.startswith(b"["):
        return rest
    backslashes = len(rest) - len(rest.rstrip(b"\\"))
    return b"[\\" if backslashes % 2 else b"["
