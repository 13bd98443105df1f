"""SIGINT and SIGTERM as a request to save and stop."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from retrieve_rl.errors import Interrupted


@dataclass
class StopRequest:
    """Set by the first SIGINT or SIGTERM; a second one ends the process at once."""

    signal_number: int | None = None

    @property
    def requested(self) -> bool:
        return self.signal_number is not None

    def raise_if_requested(self, saved: str) -> None:
        """Raises Interrupted, saying what was saved, once a stop has been requested."""
        if self.signal_number is not None:
            name = signal.Signals(self.signal_number).name
            raise Interrupted(f"stopped by {name}; {saved}", self.signal_number)


UNASKED = StopRequest()
"""For work that no signal is to stop."""


@contextmanager
def stop_on_signals(
    numbers: Sequence[int] = (signal.SIGINT, signal.SIGTERM),
) -> Iterator[StopRequest]:
    """Yields a request that these signals set while the block runs."""
    request = StopRequest()

    def handle(number: int, frame: object) -> None:
        del frame
        if request.requested:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        request.signal_number = number

    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
