"""ScaNN's kernels for AVX2 and AVX-512, which its wheel leaves unused.

ScaNN picks its kernels while it runs, by variables that are set when it is loaded. The wheel of
1.4.2 was built with a `port::TestCPUFeature` that always answers no, so that on every processor it
searches with SSE4 and AVX. Its other kernels are in the wheel all the same, and the variables are
exported: they are set here by what Linux says of the processor, while a search runs and no longer.
A build alone in its process never sees them.
"""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_MODULE = "scann_pybind"
_NEEDS = {"avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512dq", "avx512bw"}}
"""Kernel -> the processor's features that its instructions are of."""
_lock, _searches = threading.Lock(), 0


@contextmanager
def fastest_kernels() -> Iterator[None]:
    """While the block runs, in any thread, ScaNN uses the fastest kernels of this processor."""
    _turn(+1)
    try:
        yield
    finally:
        _turn(-1)


def _turn(change: int) -> None:
    """The first search that begins turns them on, the last one that ends turns them off."""
    global _searches
    with _lock:
        _searches += change
        for switch in _switches():
            switch.value = _searches > 0


@cache
def _switches() -> tuple[ctypes.c_bool, ...]:
    """Those of the kernels that this processor can run, all off; none where ScaNN is not as
    described, or asks the processor itself."""
    module = sys.modules.get(_MODULE)
    if module is None or module.__file__ is None:
        return ()
    library, here = ctypes.CDLL(module.__file__), _features()
    found = []
    for name, needed in _NEEDS.items():
        symbol = f"_ZN14research_scann14flags_internal{len('should_use_' + name)}should_use_{name}E"
        try:
            switch = ctypes.c_bool.in_dll(library, symbol)
        except ValueError:
            return ()
        if needed <= here:
            found.append(switch)
    return () if any(switch.value for switch in found) else tuple(found)


def _features() -> set[str]:
    """What Linux says that the processor can do, and that it lets programs use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
