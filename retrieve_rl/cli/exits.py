"""Exit codes: 0 done, 1 unexpected, 2 usage, 3 missing, 4 resources, 5 data, 6 gate, 130, 143."""

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from retrieve_rl.errors import ResourceError, RrlError, UsageError

_UNUSABLE_PLACE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


@contextmanager
def exit_codes(*, debug: bool) -> Iterator[None]:
    """Turns an error into one line on stderr and its exit code; `debug` adds the traceback."""
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"error: {_explain(error)}", file=sys.stderr, flush=True)
        raise typer.Exit(_exit_code(error)) from None


def _exit_code(error: Exception) -> int:
    if isinstance(error, RrlError):
        return error.exit_code
    if _is_place(error):
        return UsageError.exit_code
    return ResourceError.exit_code if _out_of_resources(error) else 1


def _explain(error: Exception) -> str:
    if isinstance(error, RrlError):
        return str(error)
    if isinstance(error, OSError) and _is_place(error):
        return f"{error.filename} cannot be used ({error.strerror}): name another place, or mend it"
    name = type(error).__name__
    text = " ".join(str(error).split())
    if not _out_of_resources(error):
        return f"{name}: {text} (unexpected; run again with --debug)"
    if isinstance(error, OSError):
        return f"the disk is full ({text}): free space and run again"
    return f"out of memory ({name}: {text}): free some, or lower train.batch_size"


def _is_place(error: Exception) -> bool:
    """Whether the system refused a path, which a user has named."""
    return (
        isinstance(error, OSError) and error.filename is not None and error.errno in _UNUSABLE_PLACE
    )


def _out_of_resources(error: Exception) -> bool:
    if isinstance(error, OSError):
        from retrieve_rl.durable import DISK_FULL

        return error.errno in DISK_FULL
    # XLA has no exception of its own for it.
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
