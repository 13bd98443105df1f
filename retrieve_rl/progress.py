"""Progress on stderr: a bar with an ETA on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Reporter:
    """Where a command's progress goes.

    Attributes:
      verbosity: -1 silent, 0 normal, 1 also details.
      bars: draw bars; False prints lines.
    """

    verbosity: int = 0
    bars: bool = False

    def say(self, message: str) -> None:
        if self.verbosity >= 0:
            print(message, file=sys.stderr, flush=True)

    def detail(self, message: str) -> None:
        if self.verbosity >= 1:
            print(message, file=sys.stderr, flush=True)

    @contextmanager
    def track(self, title: str, total: int, *, start: int = 0) -> Iterator[Advance]:
        """Yields `advance(done)`, to be called with the absolute amount done so far."""
        if self.verbosity < 0:
            yield lambda done: None
        elif self.bars:
            with _bar(title, total, start) as advance:
                yield advance
        else:
            yield _lines(title, total, start)


@contextmanager
def _bar(title: str, total: int, start: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, completed=start)
        yield lambda done: progress.update(task, completed=done)


def _lines(title: str, total: int, start: int) -> Advance:
    """Prints about every ten seconds, and at the end."""
    began = last = time.monotonic()

    def advance(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < 10:
            return
        last = now
        rate = (done - start) / max(now - began, 1e-9)
        remaining = (total - done) / rate if rate > 0 else 0.0
        ending = f"{now - began:.0f} s" if done >= total else f"about {remaining:.0f} s left"
        print(f"{title}: {done}/{total}, {ending}", file=sys.stderr, flush=True)

    return advance
