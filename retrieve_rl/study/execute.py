"""Running the cells of a study, one by one or several at once; a failure does not stop the rest."""

import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from retrieve_rl.durable import disk_errors
from retrieve_rl.errors import Interrupted, RrlError
from retrieve_rl.processes import each_in_a_process
from retrieve_rl.progress import Reporter, Tally
from retrieve_rl.signals import StopRequest, stop_on_signals
from retrieve_rl.study.cell_files import CellResult
from retrieve_rl.study.design import Cell
from retrieve_rl.study.expected import ExpectedTime
from retrieve_rl.study.run_cell import run_cell


@dataclass(frozen=True)
class Workplace:
    """Where cells are computed and kept.

    Attributes:
      root: of runs.
      cells: the folder of finished cells.
      force: the name of the command that computes again what is there, see `carry_out`.
      devices: how many share each batch of a training.
    """

    root: Path
    cells: Path
    force: str | None
    devices: int = 1


@dataclass(frozen=True)
class Ended:
    """A cell and its result, or why there is none.

    Attributes:
      error: in a line.
      trace: the traceback, as text: the error may have been raised in another process.
    """

    cell: Cell
    result: CellResult | None
    error: str | None = None
    trace: str | None = None


def run_one_by_one(
    cells: Sequence[Cell],
    place: Workplace,
    expected: ExpectedTime,
    reporter: Reporter,
    stop: StopRequest,
    *,
    prepare: Callable[[], None],
) -> list[Ended]:
    """Runs the cells in this process.

    Args:
      prepare: called before the first.

    Raises:
      Interrupted: a signal; finished cells stay finished.
    """
    ended: list[Ended] = []
    prepare()
    for number, cell in enumerate(cells):
        failed = sum(one.error is not None for one in ended)
        told = f", {failed} failed" if failed else ""
        left = expected.told(cells[number:])
        reporter.say(f"cell {number + 1}/{len(cells)}{told}: {cell.label}{left}")
        one = attempt(cell, place, reporter, stop)
        if one.result is not None:
            expected.add(one.result)
        else:
            tell_failure(one, reporter)
        ended.append(one)
    return ended


def tell_failure(one: Ended, reporter: Reporter) -> None:
    """Says why a cell failed, and where to whoever asked for details."""
    reporter.say(f"failed: {one.cell.label}: {one.error}")
    if one.trace is not None:
        reporter.trace(one.trace)


def attempt(
    cell: Cell,
    place: Workplace,
    reporter: Reporter,
    stop: StopRequest,
    *,
    prepare: Callable[[], None] = lambda: None,
) -> Ended:
    """Runs one cell; every error but an interruption becomes a line.

    Args:
      prepare: called before it.

    Raises:
      Interrupted: a signal; what was trained is saved.
    """
    try:
        prepare()
        with disk_errors(place.root):
            result = run_cell(
                cell,
                place.root,
                place.cells,
                reporter,
                stop,
                force=place.force,
                devices=place.devices,
            )
    except Interrupted:
        raise
    except RrlError as error:
        return Ended(cell, None, str(error), traceback.format_exc())
    except Exception as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Ended(cell, None, told, traceback.format_exc())
    return Ended(cell, result)


def run_apart(
    cells: Sequence[Cell],
    place: Workplace,
    expected: ExpectedTime,
    reporter: Reporter,
    stop: StopRequest,
    *,
    jobs: int,
    prepare: Callable[[], None],
) -> list[Ended]:
    """Runs each cell in a process of its own, `jobs` at once, the cores divided among them.

    Args:
      prepare: called first in every process; a function of a module, or a partial of one.

    Raises:
      Interrupted: a signal; the processes have saved what they had.
    """
    ended: list[Ended] = []
    running: list[str] = []
    with reporter.tally("cells", len(cells)) as show:

        def tell() -> None:
            over = {one.cell.key for one in ended}
            total = expected.total(cell for cell in cells if cell.key not in over)
            failed = sum(one.error is not None for one in ended)
            left = None if total is None else total / jobs
            show(Tally(len(ended), failed, [*running], left))

        def started(cell: Cell) -> None:
            running.append(cell.label)
            tell()

        for cell, told in each_in_a_process(
            partial(_in_its_process, place, prepare),
            cells,
            at_once=jobs,
            should_stop=lambda: stop.requested,
            started=started,
        ):
            running.remove(cell.label)
            if told is None and stop.requested:
                continue
            one = told or Ended(cell, None, "its process died, most likely for lack of memory")
            if one.result is not None:
                expected.add(one.result)
            else:
                tell_failure(one, reporter)
            ended.append(one)
            tell()
    stop.raise_if_requested("finished cells are kept; the same command goes on from there")
    return ended


def _in_its_process(place: Workplace, prepare: Callable[[], None], cell: Cell) -> Ended | None:
    """None where it was interrupted. Ctrl-C is left to the parent, which sends SIGTERM."""
    with stop_on_signals((signal.SIGTERM,)) as stop:
        try:
            return attempt(cell, place, Reporter(verbosity=-1), stop, prepare=prepare)
        except Interrupted:
            return None
