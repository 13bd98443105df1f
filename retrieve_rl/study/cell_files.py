"""Finished cells as small files, to be committed: what is there counts as done on any machine.

A file lies at `<preset>/<task>/<arm>-s<seed>-<key>.json`. Its key is the hash of what determines
the numbers: the config without device, paths and jobs, the data by recipe and version, and the
`results_version` of the paper.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from retrieve_rl import artifacts
from retrieve_rl.config import Strict, digest, experiments_folder, validate
from retrieve_rl.documents import check_version, read_json
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.results import RunResult, without_nan
from retrieve_rl.study.design import Cell

SCHEMA_VERSION = 1
_KEY_DIGITS = 12
_SIGNIFICANT = 9
_TIMINGS = ("prepare_seconds", "train_seconds", "evaluate_seconds", "play_seconds")


class Outcomes(Strict):
    """Raw outcomes in columns, see `results.Measurements`."""

    episodes: list[int | str]
    counts: list[int] = []
    values: dict[str, list[float]]


class CellResult(Strict):
    """What a study keeps of a cell.

    `seconds`, `versions` and `device` describe the machine; `versions["source"]` is the commit of
    the program. All else is the same for the same key.
    """

    schema_version: Literal[1] = 1
    key: str
    paper: str
    task: str
    arm: str
    preset: str
    seed: int
    results_version: int
    identity: dict[str, Any]
    """What the key is the hash of: the config and the data."""
    digests: dict[str, str]
    """Name of the data -> digest of its arrays, which rounding may change on another processor."""
    steps: int
    parameters: int
    measure: str
    outcomes: Outcomes
    conditions: dict[str, dict[str, dict[str, float | None]]] = {}
    """Other conditions of the evaluation -> measure -> mean, low, high over episodes."""
    condition_totals: dict[str, list[float]] = {}
    """Some of them -> totals of `measure`, one for each of the `outcomes`."""
    seconds: dict[str, float]
    versions: dict[str, str]
    device: dict[str, Any]


def default_folder(root: Path) -> Path:
    """`experiments/results/cells` of the checkout; where there is none, beside the runs."""
    results = experiments_folder() / "results"
    return results / "cells" if results.is_dir() else root / "cells"


def cell_file(cell: Cell, folder: Path) -> Path:
    """Where the cell's file lies, or would."""
    name = f"{cell.arm}-s{cell.seed}-{cell.key[:_KEY_DIGITS]}.json"
    return folder / cell.config.preset / cell.task / name


def write_cell(cell: Cell, results: list[RunResult], folder: Path) -> CellResult:
    """Writes the cell's file, whole or not at all.

    Args:
      results: of the training; then of the evaluation, where it is a run of its own. Outcomes and
        conditions are those of the last.
    """
    trained, judged = results[0], results[-1]
    columns = cell.paper.measurements(judged)
    training = trained.training or {}
    document = {
        "key": cell.key,
        "paper": cell.paper.name,
        **{name: getattr(cell.config, name) for name in ("task", "arm", "preset", "seed")},
        "results_version": judged.results_version,
        "identity": cell.identity,
        "digests": cell.paper.digests(trained),
        "steps": training["steps"],
        "parameters": training["parameters"],
        "measure": judged.summary["measure"],
        "outcomes": {**columns._asdict(), "values": _rounded(columns.values)},
        "conditions": _rounded(cell.paper.conditions(judged)),
        "condition_totals": _rounded(cell.paper.condition_totals(judged)),
        "seconds": _rounded(_seconds(results)),
        "versions": {**judged.versions, **trained.versions},
        "device": trained.device,
    }
    found = validate(CellResult, without_nan(document), source=cell.label)
    artifacts.write_file(cell_file(cell, folder), text_of(found))
    return found


def read_cell(path: Path) -> CellResult:
    """A cell's file. Raises DataError where it is none, or not whole, or its key is not its own, or
    a newer version of this program wrote it."""
    try:
        document = read_json(path)
    except DataError as error:
        raise _no_cell(path, error) from None
    if "schema_version" in document:  # a newer one is whole, and must not be deleted
        check_version(path, document["schema_version"], SCHEMA_VERSION)
    try:
        found = validate(CellResult, document, source=str(path))
    except UsageError as error:
        raise _no_cell(path, error) from None
    if digest(found.identity) != found.key:
        raise DataError(
            f"{path} was changed: its key is not the hash of its config; delete it, and it is"
            " computed again"
        )
    return found


def _no_cell(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is no finished cell ({error}): delete it, and it is computed again")


def find_cell(cell: Cell, folder: Path) -> CellResult | None:
    """The finished cell, or None. Raises DataError where its file is damaged or another's."""
    path = cell_file(cell, folder)
    if not path.exists():
        return None
    found = read_cell(path)
    if found.key != cell.key:
        raise DataError(f"{path} holds the cell {found.key}, expected {cell.key}: delete it")
    return found


def cells_of_preset(preset: str, folder: Path) -> Iterator[CellResult]:
    """Every finished cell of a preset, of any study, for what they tell of time.

    A file that cannot be read tells nothing and is left out: it may be of a newer version of this
    program, and of no cell that is asked for.
    """
    for path in sorted(folder.glob(f"{preset}/*/*.json")):
        with suppress(DataError):
            yield read_cell(path)


def _seconds(results: list[RunResult]) -> dict[str, float]:
    """Summed over the runs of the cell; the training of several cells is told of by each."""
    totals: dict[str, float] = {}
    for result in results:
        for name in _TIMINGS:
            if name in result.timings:
                stage = name.removesuffix("_seconds")
                totals[stage] = totals.get(stage, 0.0) + result.timings[name]
    return totals


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def text_of(cell: CellResult) -> str:
    """A cell's file, a line a field."""
    document = cell.model_dump(mode="json")
    lines = [
        f"{json.dumps(name)}: "
        + json.dumps(document[name], sort_keys=True, separators=(",", ":"), allow_nan=False)
        for name in sorted(document)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
