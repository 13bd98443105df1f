"""Functions that take turns, so that a busy moment of the machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping

Samples = dict[str, list[float]]


def in_turn(work: Mapping[str, Callable[[], object]], rounds: int) -> Samples:
    """Seconds of every call, round after round; a round before them compiles and warms up."""
    samples: Samples = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, call in work.items():
            began = time.perf_counter()
            call()
            if number:
                samples[name].append(time.perf_counter() - began)
    return samples


def medians(samples: Samples) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(values) for name, values in samples.items()}


def fastest(timed: Mapping[str, Callable[[], float]], rounds: int = 3) -> str:
    """The name of the call that says the fewest seconds, by the median; they take turns, and a
    round before warms up."""
    samples: Samples = {name: [] for name in timed}
    for number in range(rounds + 1):
        for name, call in timed.items():
            seconds = call()
            if number:
                samples[name].append(seconds)
    seconds_of = medians(samples)
    return min(seconds_of, key=lambda name: seconds_of[name])
