"""Files and folders that change whole and for good: written apart, synced, then renamed.

What is on its way to `path`, or on its way out, lies beside it under a name that begins with
`.<name>.tmp-`. A process that dies leaves the old state or the new one, and perhaps such a name.
Where the system cannot swap two folders, that may be the old one, `.<name>.tmp-old`, which is put
back before `path` is written again.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from retrieve_rl.errors import ResourceError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MARK = ".tmp-"
_OLD = "old"
_NOT_HERE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def write_file(path: Path, content: str | bytes) -> None:
    """Replaces `path` by this content; deletes what writers of it that died have left.

    Raises:
      ResourceError: the disk is full; nothing is left at `path` that was not there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    with disk_errors(path):
        _remove_orphans(path)
        descriptor, temporary = _locked_temporary(path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(temporary, 0o666 & ~_umask())
                os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        sync_folder(path.parent)


def folder_beside(path: Path) -> Path:
    """A new, empty folder on the file system of `path`, under a temporary name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path.name)))


def put(folder: Path, path: Path) -> None:
    """Renames `folder`, whose files are synced, to `path`; a folder that was there is deleted."""
    os.chmod(folder, 0o777 & ~_umask())
    sync_folder(folder)
    if not path.exists():
        os.replace(folder, path)
    elif not exchange(folder, path):
        old = path.with_name(_prefix(path.name) + _OLD)
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
        try:
            os.replace(folder, path)
        except OSError:
            os.replace(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(path.parent)
    shutil.rmtree(folder, ignore_errors=True)


def remove(path: Path, of: Path | None = None) -> None:
    """Deletes the folder at `path`; it vanishes under its name at once, then file by file.

    On a full disk, which may have no room for another name, file by file alone.

    Args:
      of: what it was made for, whose next writer deletes what is left of it; by default `path`.
    """
    try:
        path = _moved_aside(path, of or path)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
    shutil.rmtree(path, ignore_errors=True)


def remove_temporaries(folder: Path, name: str | None = None) -> None:
    """Deletes what died on its way to `name` in `folder`, or to any name there, whose only writer
    the caller is; puts back what was there before, where nothing took its place."""
    for path in sorted(folder.iterdir()):
        if name is None:
            found = path.name.startswith(".") and _MARK in path.name
        else:
            found = path.name.startswith(_prefix(name))
        if not found:
            continue
        whole = path.with_name(path.name.removeprefix(".").removesuffix(_MARK + _OLD))
        if path.name == _prefix(whole.name) + _OLD and not whole.exists():
            os.replace(path, whole)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Gives the bytes of a file a second name; copies them where there are no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        shutil.copyfile(source, target)
        sync_file(target)


def exchange(one: Path, other: Path) -> bool:
    """Swaps what two names stand for, in one step; False where the system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # Linux alone
    if call is None:
        return False
    here, swap = ctypes.c_int(-100), ctypes.c_uint(2)  # AT_FDCWD, RENAME_EXCHANGE
    if call(here, os.fsencode(one), here, os.fsencode(other), swap) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def reserve(path: Path) -> None:
    """Gives a file the disk blocks of its whole length.

    Writing to a memory-mapped file on a full disk would end the process by a signal. Raises OSError
    as the disk says.
    """
    if not hasattr(os, "posix_fallocate"):  # not on macOS
        return
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def sync_file(path: Path) -> None:
    """Returns once the bytes of a file are on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Returns once the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns the errors of a full disk, a quota or a size limit into ResourceError."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise ResourceError(
            f"the disk is full: {path} was not written ({error.strerror}); free space and run again"
        ) from error


def _moved_aside(path: Path, of: Path) -> Path:
    """Where the folder lies now, under a temporary name of `of`."""
    aside = folder_beside(of)
    try:
        os.replace(path, aside)
    except OSError:
        aside.rmdir()
        raise
    return aside


def _locked_temporary(path: Path) -> tuple[int, str]:
    """A new, empty file beside `path`, open and locked, and its name."""
    while True:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path.name))
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(temporary):
            return descriptor, temporary
        os.close(descriptor)  # Another writer took it for an orphan before it was locked.


def _remove_orphans(path: Path) -> None:
    """Deletes the temporary files of `path` whose writers are dead: nobody holds their locks."""
    for found in path.parent.iterdir():
        if not found.name.startswith(_prefix(path.name)) or not found.is_file():
            continue
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(found, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.unlink(missing_ok=True)


def _prefix(name: str) -> str:
    return f".{name}{_MARK}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
