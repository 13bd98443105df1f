"""One process that trains, evaluates and searches for a long time: what it holds does not grow."""

import ctypes
import gc
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from commands import Words, call, prepare
from inputs import COMMANDS

from retrieve_rl.retrieval.memory import open_memory, retrieve

_COMMANDS = ("train-policy", "evaluate", "Go: train-policy", "Go: evaluate")
_INDEXES = ("exact index", "ScaNN index")
_WARM_UP = 0.25
"""The share of the time in which caches fill and the allocator finds its size."""
_LIMITS = {"allocated_kib": 16, "python_blocks": 200, "resident_kib": 256}
"""A round. A program or a network that is kept takes more than the first two; what allocators keep
of freed memory goes up and down by megabytes, and only a slope above the third stands out."""
_QUERIES, _NEIGHBORS = 64, 10


@dataclass(frozen=True)
class Held:
    """What a process has of the machine.

    Attributes:
      allocated_kib: that C's allocator has given out.
      python_blocks: that Python's has.
      resident_kib: with what the allocators keep of freed memory.
    """

    allocated_kib: int
    python_blocks: int
    resident_kib: int
    descriptors: int
    threads: int
    children: int


def soak(folder: Path, seconds: float, commands: Sequence[str] = _COMMANDS) -> list[Held]:
    """What this process held after every round, but for those of the warm-up."""
    places = {name: prepare(COMMANDS[name], folder / name.replace(":", "")) for name in commands}
    indexes = [_index(name, folder / name) for name in _INDEXES]
    found: list[Held] = []
    began = time.monotonic()
    while not found or time.monotonic() - began < seconds:
        for name, place in places.items():
            _carry_out((*COMMANDS[name].words, "--force"), place)
        for index in indexes:
            _search(index)
        if time.monotonic() - began > _WARM_UP * seconds:
            found.append(_held())
    return found


def grown(held: list[Held]) -> list[str]:
    """What grew from round to round."""
    wrong = []
    for name in ("descriptors", "threads", "children"):
        first, last = getattr(held[0], name), getattr(held[-1], name)
        if last > first:
            wrong.append(f"{last} {name} after {len(held)} rounds that began with {first}")
    for name, limit in _LIMITS.items():
        if (slope := per_round(held, name)) > limit:
            wrong.append(f"{name} grew by {slope:.1f} a round; {limit} are allowed")
    return wrong


def per_round(held: list[Held], name: str) -> float:
    """The slope of the line through one of the numbers of all rounds, by least squares."""
    if len(held) < 2:
        return 0.0
    return float(np.polyfit(np.arange(len(held)), [getattr(one, name) for one in held], 1)[0])


def _index(name: str, folder: Path) -> Path:
    prepare(COMMANDS[name], folder)
    _carry_out(COMMANDS[name].words, folder)
    return folder / "index"


def _carry_out(words: Words, folder: Path) -> None:
    done = call(words, folder)
    if done.exit_code:
        raise RuntimeError(f"{words} exited {done.exit_code}: {done.output}") from done.exception


def _search(index: Path) -> None:
    memory = open_memory(index)
    queries = np.random.default_rng(0).normal(size=(_QUERIES, memory.index.dim))
    retrieve(memory, queries.astype(np.float32), _NEIGHBORS)


class _Allocator(ctypes.Structure):
    """What glibc's mallinfo2 tells of all arenas, in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _allocated_kib() -> int:
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Allocator
    told = mallinfo()
    return int(told.uordblks + told.hblkhd) // 1024


def _held() -> Held:
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Held(
        allocated_kib=_allocated_kib(),
        python_blocks=sys.getallocatedblocks(),
        resident_kib=int(status["VmRSS"].split()[0]),
        descriptors=len(os.listdir("/proc/self/fd")),
        threads=int(status["Threads"]),
        children=_children(),
    )


def _children() -> int:
    """Zombies are among them."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has just ended
            continue
        count += int(parent) == os.getpid()
    return count
