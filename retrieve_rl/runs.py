"""Carrying out a run: one writer, resumed where it stopped, done once."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from retrieve_rl import artifacts, durable
from retrieve_rl.config import Strict
from retrieve_rl.documents import read_json
from retrieve_rl.errors import DataError
from retrieve_rl.locks import shared
from retrieve_rl.progress import Reporter
from retrieve_rl.results import Run, RunResult, read_result, write_result
from retrieve_rl.signals import StopRequest

RunFn = Callable[[Any, Run], RunResult]
_FORCED = "forced-by"


class Finished(NamedTuple):
    """A run that ended.

    Attributes:
      folder: where it lies.
      result: its result.
      computed: False where the result was already there.
    """

    folder: Path
    result: RunResult
    computed: bool


def new_force() -> str:
    """A name for one command that starts over; see `carry_out`."""
    return uuid.uuid4().hex


def carry_out(
    run_fn: RunFn,
    config: Strict,
    folder: Path,
    root: Path,
    reporter: Reporter,
    stop: StopRequest,
    *,
    force: str | None = None,
    devices: int = 1,
    wait: bool = False,
    changed: Callable[[RunResult], list[str]] = lambda result: [],
) -> Finished:
    """Does the work of `config` in `folder`, or returns the result that is already there.

    Unfinished work goes on from its last checkpoint.

    Args:
      force: the name of a command that starts over; what it began itself, in this process or
        another, is kept.
      wait: for another process at work on the same run, until it has ended.
      changed: of a result that is there, what it was made from and is another now, as text.

    Raises:
      DataError: the result that is there is of other data or another training, or damaged.
      UsageError: another process is at work on the same run.
      Interrupted: a signal came while this one waited.
    """
    with shared(folder, reporter, stop) if wait else artifacts.lock(folder):
        if force is not None and folder.exists() and _forced_by(folder) != force:
            durable.remove(folder)
        if (folder / "result.json").exists():
            result = read_result(folder)
            differing = changed(result)
            if differing:
                raise DataError(
                    f"{folder} is finished, but of other data: {'; '.join(differing)}; --force"
                    " starts over, another --runs keeps both"
                )
            return Finished(folder, result, computed=False)
        folder.mkdir(parents=True, exist_ok=True)
        durable.remove_temporaries(folder)
        resolved = artifacts.to_json(config.model_dump(mode="json"))
        artifacts.write_file(folder / "config.json", resolved)
        if force is not None:
            artifacts.write_file(folder / _FORCED, force)
        result = run_fn(config, Run(folder, root, reporter, stop, devices))
        write_result(folder, result)
        return Finished(folder, result, computed=True)


def _forced_by(folder: Path) -> str | None:
    file = folder / _FORCED
    return file.read_text() if file.exists() else None


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved config of the run in `folder`. Raises DataError."""
    try:
        return read_json(folder / "config.json")
    except DataError as error:
        raise DataError(f"{folder} is not a run: {error}") from None
