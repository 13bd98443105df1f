"""Waiting for what several runs share: one makes it, the others wait, say so, and obey a signal."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieve_rl import artifacts
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest


@contextmanager
def shared(path: Path, reporter: Reporter, stop: StopRequest) -> Iterator[None]:
    """Holds the lock of `path`, however long another process is at work on it.

    Raises:
      Interrupted: a signal asked to stop before it was free.
    """
    told = False

    def waiting() -> None:
        nonlocal told
        if not told:
            reporter.say(f"another process is at work on {path}: waiting for it")
            told = True
        stop.raise_if_requested(f"nothing was begun: another process is at work on {path}")

    with artifacts.lock(path, wait_seconds=math.inf, waiting=waiting):
        yield
