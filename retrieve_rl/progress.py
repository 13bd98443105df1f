"""Progress on stderr: a bar with an ETA on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

Advance = Callable[[int], None]


class Tally(NamedTuple):
    """How far work of several things at once has come.

    Attributes:
      done: how many have ended, the failed ones too.
      running: their names.
      seconds_left: None where nobody knows.
    """

    done: int
    failed: int
    running: list[str]
    seconds_left: float | None


@dataclass(frozen=True)
class Reporter:
    """Where a command's progress goes.

    Attributes:
      verbosity: -1 silent, 0 normal, 1 also tracebacks.
      bars: draw bars; False prints lines.
      traces: show tracebacks, however little else is told.
    """

    verbosity: int = 0
    bars: bool = False
    traces: bool = False

    def say(self, message: str) -> None:
        if self.verbosity >= 0:
            print(message, file=sys.stderr, flush=True)

    def trace(self, text: str) -> None:
        """Prints the traceback of an error that does not end the command."""
        if self.traces or self.verbosity >= 1:
            print(text, file=sys.stderr, flush=True)

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
    def tally(self, title: str, total: int) -> Iterator[Callable[[Tally], None]]:
        """Yields `show(tally)` for work of several things at once, drawn live on a terminal."""
        if self.verbosity < 0:
            yield lambda tally: None
        elif self.bars:
            with _live(title, total) as show:
                yield show
        else:
            yield lambda tally: print(_told(title, total, tally), file=sys.stderr, flush=True)


SILENT = Reporter(verbosity=-1)
"""For callers that want to hear nothing."""


@contextmanager
def _live(title: str, total: int) -> Iterator[Callable[[Tally], None]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    def drawn(tally: Tally) -> Group:
        lines = [Text(_told(title, total, tally._replace(running=[])))]
        lines += [Text(f"  running: {name}") for name in tally.running]
        return Group(ProgressBar(total=total, completed=tally.done, width=40), *lines)

    with Live(drawn(Tally(0, 0, [], None)), console=Console(stderr=True)) as live:
        yield lambda tally: live.update(drawn(tally))


def _told(title: str, total: int, tally: Tally) -> str:
    """ "cells: 3/12, 1 failed, about 5 min left; running: a, b"."""
    parts = [f"{title}: {tally.done}/{total}"]
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    if tally.seconds_left is not None and tally.done < total:
        parts.append(f"about {in_words(tally.seconds_left)} left")
    running = f"; running: {', '.join(tally.running)}" if tally.running else ""
    return ", ".join(parts) + running


def in_words(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


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
