"""One cell: an ordinary training run and its evaluation, or the file that says it is done."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from retrieve_rl.errors import DataError, GateError
from retrieve_rl.progress import Reporter
from retrieve_rl.results import RunResult, retrained, run_folder
from retrieve_rl.runs import RunFn, carry_out
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.cell_files import CellResult, find_cell, write_cell
from retrieve_rl.study.design import Cell


def run_cell(
    cell: Cell,
    root: Path,
    folder: Path,
    reporter: Reporter,
    stop: StopRequest,
    *,
    force: str | None,
    devices: int = 1,
) -> CellResult:
    """Does what is left of the cell and writes its file.

    Args:
      root: where runs lie; an unfinished one goes on there.
      folder: of finished cells.
      force: compute it again, whatever is there; see `carry_out`.
      devices: how many share each batch of the training.

    Raises:
      DataError: what determines the cell's numbers is not what it was when the cell was named.
      GateError: the result of a run is not ok.
      RrlError: whatever else a run raises.
      Interrupted: a signal; what was trained is saved.
    """
    found = None if force is not None else find_cell(cell, folder)
    if found is not None:
        return found

    _check_unchanged(cell)

    def finish(command: str, run_fn: RunFn, training: RunResult | None = None) -> RunResult:
        def changed(result: RunResult) -> list[str]:
            of_data = cell.paper.changed_since(cell.config, result.inputs)
            return of_data if training is None else [*of_data, *retrained(result, training)]

        place = run_place(cell, command, root)
        finished = carry_out(
            run_fn,
            cell.config,
            place,
            root,
            reporter,
            stop,
            force=force,
            devices=devices,
            changed=changed,
            wait=True,  # cells that differ in their evaluation alone share a training
        )
        if finished.result.status != "ok":
            raise GateError(
                f"the result in {place} is {finished.result.status}: its summary says why; when"
                " that is mended, --force computes it again"
            )
        return finished.result

    results = [finish("train-policy", cell.paper.training())]
    if cell.paper.evaluation is not None:
        trained = run_place(cell, "train-policy", root)
        judge = partial(cell.paper.evaluation(), trained=trained)
        results.append(finish("evaluate", judge, results[0]))
    _check_unchanged(cell)
    return write_cell(cell, results, folder)


def _check_unchanged(cell: Cell) -> None:
    then, now = cell.identity, replace(cell).identity
    if then != now:
        changed = sorted(name for name in then | now if then.get(name) != now.get(name))
        raise DataError(
            f"{cell.label}: {', '.join(changed)} changed while the study ran: run it again"
        )


def run_place(cell: Cell, command: str, root: Path) -> Path:
    """The folder of one of the cell's runs, the same as by the command itself."""
    paper = cell.paper
    hash_of = paper.config_hash if command == "train-policy" else paper.judgment_hash
    return run_folder(
        root,
        command,
        task=cell.task,
        arm=cell.arm,
        preset=cell.config.preset,
        seed=cell.seed,
        config_hash=hash_of(cell.config),
    )
