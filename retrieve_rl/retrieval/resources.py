"""Memory and disk that an index will need, foreseen before the work begins."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from retrieve_rl.errors import ResourceError
from retrieve_rl.retrieval.index import Kind
from retrieve_rl.retrieval.inner_product import NORM_DIMS
from retrieve_rl.retrieval.scann_config import (
    COMPARED_LEAVES,
    LISTED_LEAVES,
    NUM_GROUPS,
    TREE_FROM,
    Reorder,
    learned_from,
    leaves_for,
    num_blocks,
)

GIB = 2**30
_PROCESS = 0.6 * GIB
# Anonymous memory peaks while a ScaNN index is opened and tuned. Measured for width 64: 1.18 and
# 1.89 GiB for one and five million keys in bfloat16, 1.16 and 2.01 GiB in float32. That is this
# much more than the process and the keys, however many they are.
_TUNING = 0.45 * GIB
_COPIES_TO_LEARN_FROM = 6.5
"""2.45 GiB at the peak were measured for 100,000 keys of width 768."""
_CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Of version 2 and 1: the limit, what is used, and the part of it that can be reclaimed."""
_KEPT_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}


class Need(NamedTuple):
    """Bytes.

    Attributes:
      memory: anonymous memory at the peak; the mapped keys come on top and can be reclaimed.
      disk: the finished index, with its shards under way.
    """

    memory: float
    disk: float

    def __str__(self) -> str:
        memory, disk = (size / GIB for size in self)
        return f"about {memory:.2g} GiB of memory and {disk:.2g} GiB of disk"


def need_of(num_keys: int, dim: int, kind: Kind, reorder: Reorder, *, value_bytes: int) -> Need:
    """What building and then opening an index over `num_keys` keys of width `dim` takes."""
    if kind == "exact":
        # The matrix, and its blocks as they are and less their center.
        return Need(_PROCESS + 3 * num_keys * (dim + 2) * 4, num_keys * dim * 4 + value_bytes)
    kept = _KEPT_BYTES[reorder] * (NORM_DIMS + dim)
    # A byte a code on disk, half a byte in memory; there a key's leaf and place in it, too.
    codes, leaf = NORM_DIMS + num_blocks(dim), 4
    opened = _TUNING + num_keys * (kept + codes / 2 + 2 * leaf)
    memory = max(opened, _learning(num_keys, dim))
    return Need(_PROCESS + memory, num_keys * (kept + codes + leaf) + value_bytes)


def _learning(num_keys: int, dim: int) -> float:
    """What a ScaNN index takes while leaves and codewords are learned: most where keys are wide."""
    if num_keys < TREE_FROM:
        return 0.0
    leaves = leaves_for(num_keys)
    learned = min(num_keys, learned_from(leaves)) * _COPIES_TO_LEARN_FROM
    listed = 3 * NUM_GROUPS * LISTED_LEAVES if leaves > COMPARED_LEAVES else 0
    return 4.0 * dim * (learned + listed)


def check(need: Need, folder: Path, max_memory: float | None = None, *, written: int = 0) -> None:
    """Raises ResourceError where the memory or the disk under `folder` will not suffice.

    Args:
      max_memory: bytes, in place of what the machine has free.
      written: bytes of the disk's need that lie there already, of a build that was broken off.
    """
    limit = max_memory if max_memory is not None else available_memory()
    if limit is not None and need.memory > limit:
        raise ResourceError(
            f"the index needs about {need.memory / GIB:.2g} GiB of memory, {limit / GIB:.2g} GiB"
            " are allowed: reorder with int8, index fewer keys, or raise --max-memory"
        )
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if need.disk - written > free:
        raise ResourceError(
            f"the index needs about {need.disk / GIB:.2g} GiB under {existing}, {free / GIB:.2g}"
            " GiB are free: free space, or choose another --out"
        )


def bytes_in(folder: Path) -> int:
    """Of all files below it, each counted once however many names it has; 0 without a folder."""
    files = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum({file.st_ino: file.st_size for file in files}.values())


def available_memory() -> float | None:
    """Bytes that can be allocated without swapping, and without leaving the limit of a container;
    None where the system does not say."""
    limits = [found for found in (_free_memory(), *_left_of_cgroups()) if found is not None]
    return min(limits, default=None)


def _free_memory() -> float | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError):
        return None


def _left_of_cgroups(root: Path = Path("/sys/fs/cgroup")) -> Iterator[float]:
    """What the container's control group may still take; what its file cache holds can be had."""
    for limit, used, cache in _CGROUP_FILES:
        try:
            found = float((root / limit).read_text()) - float((root / used).read_text())
            lines = (root / limit).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # no such group, or "max"
            continue
        yield found + sum(float(line.split()[1]) for line in lines if line.startswith(f"{cache} "))
