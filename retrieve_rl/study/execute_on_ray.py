"""Running the cells of a study on a Ray cluster; the cell of a lost worker goes on elsewhere.

Needs the extra `ray`. On a cluster of several machines runs should lie on a shared file system: a
cell then goes on from its last checkpoint, else it begins anew. Finished cells come back to the
machine that asked, whatever its workers can write.
"""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from retrieve_rl import artifacts
from retrieve_rl.errors import MissingDependencyError
from retrieve_rl.progress import Reporter, Tally
from retrieve_rl.ray_extra import import_ray
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.cell_files import cell_file, text_of
from retrieve_rl.study.design import Cell
from retrieve_rl.study.execute import Ended, Workplace, attempt, tell_failure
from retrieve_rl.study.expected import ExpectedTime

_LOST_WORKERS = 5
"""How often a cell is begun again, after the others, before it counts as failed."""
_LOOK_SECONDS = 0.5


def run_on_ray(
    cells: Sequence[Cell],
    place: Workplace,
    expected: ExpectedTime,
    reporter: Reporter,
    stop: StopRequest,
    *,
    jobs: int,
    address: str | None,
    prepare: Callable[[], None],
) -> list[Ended]:
    """Runs the cells as tasks of a cluster, `jobs` at once.

    Args:
      address: of the cluster; None starts one on this machine, or takes the one that this process
        is connected to.
      prepare: called first in every task; a function of a module, or a partial of one.

    Raises:
      MissingDependencyError: Ray is not installed, or there is no cluster at the address.
      Interrupted: a signal; the tasks are cancelled, and finished cells stay finished.
    """
    ray = import_ray()
    started_here = _connect(ray, address)
    try:
        return _run(ray, cells, place, expected, reporter, stop, jobs=jobs, prepare=prepare)
    finally:
        if started_here:
            ray.shutdown()


def _connect(ray: Any, address: str | None) -> bool:
    """Whether the connection was made here, and not by the caller."""
    if ray.is_initialized():
        return False
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address or "local", log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise MissingDependencyError(f"no Ray cluster at {address}: {error}") from None
    finally:
        if signal.getsignal(signal.SIGTERM) is not handler:  # Ray's own would exit at once
            signal.signal(signal.SIGTERM, handler)
    return True


def _run(
    ray: Any,
    cells: Sequence[Cell],
    place: Workplace,
    expected: ExpectedTime,
    reporter: Reporter,
    stop: StopRequest,
    *,
    jobs: int,
    prepare: Callable[[], None],
) -> list[Ended]:
    # Ray itself would begin a cell again without end where memory is short.
    task = ray.remote(num_cpus=_cores_of_a_cell(ray, jobs), max_retries=0)(_on_a_worker)
    left, ended, lost = list(reversed(cells)), list[Ended](), Counter[str]()
    running: dict[Any, Cell] = {}
    with reporter.tally("cells", len(cells)) as show:

        def tell() -> None:
            over = {one.cell.key for one in ended}
            total = expected.total(cell for cell in cells if cell.key not in over)
            failed = sum(one.error is not None for one in ended)
            labels = [cell.label for cell in running.values()]
            show(Tally(len(ended), failed, labels, None if total is None else total / jobs))

        while (left or running) and not stop.requested:
            while left and len(running) < jobs:
                cell = left.pop()
                running[task.remote(cell, place, prepare)] = cell
                tell()
            ready, _ = ray.wait(list(running), timeout=_LOOK_SECONDS)
            for reference in ready:
                cell = running.pop(reference)
                try:
                    one: Ended = ray.get(reference)
                except ray.exceptions.RayError as error:
                    lost[cell.key] += 1
                    if lost[cell.key] <= _LOST_WORKERS:
                        left.insert(0, cell)
                        continue
                    told = f"its worker was lost {lost[cell.key]} times: {error}"
                    one = Ended(cell, None, told)
                if one.result is not None:
                    path = cell_file(cell, place.cells)
                    artifacts.write_file(path, text_of(one.result))
                    expected.add(one.result)
                else:
                    tell_failure(one, reporter)
                ended.append(one)
                tell()
    for reference in running:
        ray.cancel(reference, force=True)
    stop.raise_if_requested("finished cells are kept; the same command goes on from there")
    return ended


def _cores_of_a_cell(ray: Any, jobs: int) -> float:
    """An equal share of what one node has: no cell can spread over two."""
    cores = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    nodes = [count for count in cores if count]
    on_a_node = -(-jobs // max(1, len(nodes)))
    return max(1.0, min(nodes, default=1.0) // on_a_node)


def _on_a_worker(cell: Cell, place: Workplace, prepare: Callable[[], None]) -> Ended:
    # Ray cancels by killing: what a checkpoint holds is kept.
    return attempt(cell, place, Reporter(verbosity=-1), StopRequest(), prepare=prepare)
