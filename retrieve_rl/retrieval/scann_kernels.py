"""ScaNN's kernels for AVX2 and AVX-512, which its wheel leaves unused.

ScaNN picks its kernels while it runs, by variables that are set when it is loaded. The wheel of
1.4.2 was built with a `port::TestCPUFeature` that always answers no, so that on every processor it
searches with SSE4 and AVX. Its other kernels are in the wheel all the same, and the variables are
exported: they are set here by what Linux says of the processor, while a search runs and no longer.
A build never sees them, and writes the same bytes on every processor.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_MODULE = "scann_pybind"
_NEEDS = {"avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512dq", "avx512bw"}}
"""Kernel -> the processor's features that its instructions are of."""


@contextmanager
def fastest_kernels() -> Iterator[None]:
    """While the block runs ScaNN uses the fastest kernels of this processor."""
    before = [(switch, switch.value) for switch in _switches()]
    for switch, _ in before:
        switch.value = True
    try:
        yield
    finally:
        for switch, value in before:
            switch.value = value


@cache
def _switches() -> tuple[ctypes.c_bool, ...]:
    """Those of the kernels that this processor can run; none where ScaNN is not as described."""
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
    return tuple(found)


def _features() -> set[str]:
    """What Linux says that the processor can do, and that it lets programs use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
