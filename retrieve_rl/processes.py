"""Worker processes that start light, leave Ctrl-C to their parent and end with it."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, NamedTuple, TypeVar, cast

from retrieve_rl.errors import ResourceError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LOOK_SECONDS = 0.2
"""How long a request to stop may go unseen."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """How many cores this process may run on."""
    return len(usable_core_numbers())


def usable_core_numbers() -> list[int]:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


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


def each_in_a_process(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    at_once: int,
    should_stop: Callable[[], bool],
    started: Callable[[Item], None],
) -> Iterator[tuple[Item, Result | None]]:
    """Calls `function` in a fresh process for every item; yields items and results as they end.

    The cores are divided among the processes; the numbers they compute do not depend on how many
    there are. None is the result of one that died. Once `should_stop` says so, those at work get a
    SIGTERM, to save and return, and no other is started.

    Args:
      function: a top-level function or a partial of one.
      at_once: how many processes, at most.
      started: is told of every item whose process has been started.
    """
    free = _shares(at_once)
    left = deque(items)
    running: dict[Connection, _Working[Item]] = {}
    told_to_stop = False
    try:
        while running or (left and not should_stop()):
            while left and free and not should_stop():
                item, cores = left.popleft(), free.popleft()
                connection, process = _start(function, item, cores)
                running[connection] = _Working(item, process, cores)
                started(item)
            if should_stop() and not told_to_stop:
                told_to_stop = True
                for working in running.values():
                    working.process.terminate()
            for ready in multiprocessing.connection.wait(list(running), timeout=_LOOK_SECONDS):
                working = running.pop(cast(Connection, ready))
                result = _receive(cast(Connection, ready))
                working.process.join()
                free.append(working.cores)
                yield working.item, result
    finally:
        for working in running.values():
            working.process.kill()
            working.process.join()


class _Working(NamedTuple, Generic[Item]):
    """What a process is at."""

    item: Item
    process: BaseProcess
    cores: list[int]


def _shares(parts: int) -> deque[list[int]]:
    """The usable cores in `parts` equal lists; more parts than cores share them."""
    cores = usable_core_numbers()
    size = max(1, len(cores) // parts)
    starts = [part * size % len(cores) for part in range(parts)]
    return deque(cores[start : start + size] for start in starts)


def _start(
    function: Callable[[Item], Any], item: Item, cores: list[int]
) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, item, cores, theirs))
    # Libraries divide a sum by the number of their threads: with those of the whole machine, on
    # whatever cores, its rounding is that of a process that has the machine to itself.
    with _lean_processes(usable_cores(), ("NPROC", *_THREAD_VARIABLES)):
        process.start()
    theirs.close()
    return ours, process


def _work(
    function: Callable[[Item], Any], item: Item, cores: list[int], connection: Connection
) -> None:
    _start_worker()
    # Only now: NumPy, imported with `function`, was to count every core.
    if hasattr(os, "sched_setaffinity"):  # not on macOS
        os.sched_setaffinity(0, cores)
    connection.send(function(item))


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return None
    finally:
        connection.close()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _lean_processes(
    threads: int = 1, variables: Sequence[str] = _THREAD_VARIABLES
) -> Iterator[None]:
    """Processes started inside get so many threads in their libraries and not the main module.

    They read both when they start. Importing the main module would run a script that has no
    `__main__` guard once more, import whatever it imports, and fail where it came from stdin.
    """
    before = {name: os.environ.get(name) for name in variables}
    main = sys.modules["__main__"]
    os.environ.update(dict.fromkeys(variables, str(threads)))
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
