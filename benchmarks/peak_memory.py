"""The largest anonymous memory of this process, sampled while a block runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERVAL_SECONDS = 0.1
GIB = 2**30


class Peak:
    """Anonymous memory in GiB: memory-mapped files are not part of it."""

    gib: float = 0.0


@contextmanager
def peak_anonymous() -> Iterator[Peak]:
    """Samples RssAnon of Linux every tenth of a second; the result is final when the block ends."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak.gib = max(peak.gib, anonymous_gib())
            done.wait(INTERVAL_SECONDS)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def anonymous_gib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / GIB
    raise RuntimeError("this system does not report anonymous memory")
