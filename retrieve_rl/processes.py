"""Worker processes that start light, leave Ctrl-C to their parent and end with it."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from retrieve_rl.errors import ResourceError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def worker_pool(workers: int, doing: str) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes; on the way out, what has not begun is dropped.

    Args:
      doing: what the error says the processes were doing: "making rrl/hopper/medium-v0".

    Raises:
      ResourceError: a worker died.
    """
    with _lean_processes():
        executor = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
        )
        try:
            yield executor
        except BrokenProcessPool:
            raise ResourceError(
                f"a process {doing} died, most likely for lack of memory: free some and run again"
            ) from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, doing: str
) -> Iterator[Result]:
    """`map` over processes: results in the order of the items, which are drawn as they are needed.

    One worker means this process. `function` is a top-level function or a partial of one.

    Raises:
      ResourceError: a worker died.
    """
    if workers == 1:
        yield from map(function, items)
        return
    with worker_pool(workers, doing) as executor:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(executor.submit(function, item))
            if len(running) > 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _lean_processes() -> Iterator[None]:
    """Processes started inside get one BLAS thread and do not import the program's main module.

    They read both when they start. Importing the main module would run a script that has no
    `__main__` guard once more, import whatever it imports, and fail where it came from stdin.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    main = sys.modules["__main__"]
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
