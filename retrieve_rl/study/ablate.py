"""A study from its TOML to its report: what is missing is computed, the rest is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from retrieve_rl import artifacts
from retrieve_rl.config import digest
from retrieve_rl.errors import UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.results import without_nan
from retrieve_rl.runs import new_force
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.cell_files import (
    CellResult,
    cell_file,
    cells_of_preset,
    default_folder,
    find_cell,
)
from retrieve_rl.study.design import Cell, StudyDesign, cells, label_of, load_design
from retrieve_rl.study.execute import Ended, Workplace, run_apart, run_one_by_one
from retrieve_rl.study.expected import ExpectedTime
from retrieve_rl.study.figure import draw
from retrieve_rl.study.paper import PaperOf
from retrieve_rl.study.run_cell import run_place
from retrieve_rl.study.table import over_tasks, same_version, summarize, unlike_data

RunCells = Callable[..., list[Ended]]
"""As `execute.run_one_by_one`."""


@dataclass(frozen=True)
class Asked:
    """A study as it was asked for.

    Attributes:
      name: of the study, or its TOML file.
      task, preset, seed: in place of the study's.
      settings: `key=value`, in every cell.
    """

    name: str
    task: str | None = None
    preset: str | None = None
    seed: int | None = None
    settings: Sequence[str] = ()

    @property
    def words(self) -> list[str]:
        """What follows `rrl ablate`."""
        options = {"task": self.task, "preset": self.preset, "seed": self.seed}
        asked = [(f"--{name}", str(value)) for name, value in options.items() if value is not None]
        asked += [("--set", setting) for setting in self.settings]
        return [self.name, *(word for option in asked for word in option)]

    @property
    def report_name(self) -> str:
        """Of the folder of the report: another one for whatever the study is narrowed or changed
        by, so that no report takes the place of a larger one."""
        changes = [name and Path(name).stem for name in (self.preset, self.task)]
        changes += [f"s{self.seed}"] if self.seed is not None else []
        changes += [digest({"settings": list(self.settings)})[:8]] if self.settings else []
        return "-".join([Path(self.name).stem, *(change for change in changes if change)])


def plan(
    asked: Asked,
    paper_of: PaperOf,
    *,
    root: Path,
    folder: Path | None,
    force: bool = False,
    platform: str | None = None,
) -> dict[str, Any]:
    """What `rrl ablate --dry-run` prints: the cells, which are done, how long the others take.

    Writes nothing. `expected_seconds` is None where no finished cell of the preset tells, and says
    what those took on `expected_on`, the devices that they were computed on.

    Args:
      force: every cell would be computed again.
      platform: "cpu" or "gpu"; only cells of it tell of time, where there are any.

    Raises:
      UsageError: no such study, or a cell that cannot be configured.
      DataError: a finished cell's file is damaged, or a file of data is missing.
    """
    design, grid = _expanded(asked, paper_of)
    folder = folder or default_folder(root)
    finished = _telling(design, grid, folder, platform)
    expected = ExpectedTime(finished)
    known = {} if force else _finished(grid, folder)
    done = {cell.key: cell.key in known for cell in grid}
    left = {cell.key: cell for cell in grid if not done[cell.key]}.values()
    return {
        "name": Path(asked.name).stem,
        "preset": design.preset,
        "cells": [
            {
                "cell": cell.label,
                "status": "done" if done[cell.key] else "to do",
                "expected_seconds": 0.0 if done[cell.key] else expected.seconds(cell),
                "run": str(run_place(cell, "train-policy", root)),
                "file": str(cell_file(cell, folder)),
            }
            for cell in grid
        ],
        "done": sum(done.values()),
        "to_do": len(left),
        "expected_seconds": expected.total(left),
        "expected_from": len(finished),
        "expected_on": sorted({str(one.device.get("kind", "unknown")) for one in finished}),
    }


def ablate(
    asked: Asked,
    paper_of: PaperOf,
    *,
    root: Path,
    folder: Path | None,
    out: Path | None,
    reporter: Reporter,
    stop: StopRequest,
    force: bool,
    jobs: int,
    devices: int = 1,
    run_cells: RunCells | None = None,
    prepare: Callable[[], None],
    platform: str | None = None,
) -> dict[str, Any]:
    """Entry point of `rrl ablate`: runs what is missing, then writes a JSON report and a figure.

    A failed cell is reported and does not stop the others. The report lies under `root/reports/`,
    see `Asked.report_name`; the figure beside it.

    Args:
      folder: of finished cells; by default that of the checkout, or one beside the runs.
      out: where report and figure are written, too.
      jobs: how many cells are computed at once; several have a process of its own each.
      devices: how many share each batch of a training.
      run_cells: computes the cells; by default this machine does.
      prepare: settles the device, once in every process that computes.
      platform: as for `plan`.

    Raises:
      UsageError: no such study, a cell that cannot be configured, or an `out` that is no JSON.
      DataError: a finished cell's file is damaged, or a file of data is missing.
      Interrupted: a signal; finished cells stay finished.
    """
    design, grid = _expanded(asked, paper_of)
    if out is not None and out.suffix != ".json":
        raise UsageError(
            f"--out {out}: expected a name in .json; the figure lies beside it in .png"
        )
    # Absolute: other processes may have another working directory.
    cells_folder = (folder or default_folder(root)).absolute()
    forced_by = new_force() if force else None
    place = Workplace(root.absolute(), cells_folder, forced_by, devices)
    known = {} if force else _finished(grid, place.cells)
    missing = list({cell.key: cell for cell in grid if cell.key not in known}.values())
    if known:
        reporter.say(f"{len(known)} cells are done, {len(missing)} are left")
    expected = ExpectedTime(_telling(design, grid, place.cells, platform))
    here: RunCells = partial(run_apart, jobs=jobs) if jobs > 1 else run_one_by_one
    run = run_cells or here
    ran = run(missing, place, expected, reporter, stop, prepare=prepare) if missing else []
    ended = {one.cell.key: one for one in ran}
    told = [
        Ended(cell, known[cell.key]) if cell.key in known else replace(ended[cell.key], cell=cell)
        for cell in grid
    ]
    name = Path(asked.name).stem
    report = {**_report(name, design, told, root), "asked": asked.words}
    places = [root / "reports" / asked.report_name / "report.json", *([out] if out else [])]
    files = [file for place in places for file in _write(report, design, place)]
    return {**report, "files": files}


def _expanded(asked: Asked, paper_of: PaperOf) -> tuple[StudyDesign, list[Cell]]:
    """The design, in the names of its cells, and these."""
    design = load_design(asked.name, task=asked.task, preset=asked.preset, seed=asked.seed)
    return design.named, cells(design, paper_of, asked.settings)


def _telling(
    design: StudyDesign, grid: Sequence[Cell], folder: Path, platform: str | None
) -> list[CellResult]:
    """The finished cells that tell of time: of the preset and the paper, and, where there are any,
    of the platform: a GPU is many times as fast."""
    papers = {cell.paper.name for cell in grid}
    found = [one for one in cells_of_preset(design.preset, folder) if one.paper in papers]
    return [one for one in found if one.device.get("platform") == platform] or found


def failed_cells(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and errors of the cells that failed."""
    return [
        (label_of(cell["task"], cell["arm"], cell["settings"], cell["seed"]), cell["error"])
        for cell in report["cells"]
        if cell["status"] == "failed"
    ]


def _finished(grid: Sequence[Cell], folder: Path) -> dict[str, CellResult]:
    found = {cell.key: find_cell(cell, folder) for cell in grid}
    return {key: result for key, result in found.items() if result is not None}


def _report(name: str, design: StudyDesign, ended: list[Ended], root: Path) -> dict[str, Any]:
    same_version(ended)
    return {
        "schema_version": 2,
        "name": name,
        "title": design.title,
        "preset": design.preset,
        "design": design.model_dump(mode="json"),
        "cells": [_record(one, root) for one in ended],
        "summary": summarize(ended, design),
        "over_tasks": over_tasks(ended),
        "notes": unlike_data(ended),
        "failed": sum(one.error is not None for one in ended),
    }


def _record(one: Ended, root: Path) -> dict[str, Any]:
    cell, result = one.cell, one.result
    record: dict[str, Any] = {
        "run": run_place(cell, "train-policy", root).relative_to(root).as_posix(),
        "task": cell.task,
        "arm": cell.arm,
        "settings": cell.settings,
        "seed": cell.seed,
        "key": cell.key,
    }
    if result is None:
        return {**record, "status": "failed", "error": one.error}
    return {
        **record,
        "status": "ok",
        "results_version": result.results_version,
        "digests": result.digests,
        "seconds": result.seconds,
        "versions": result.versions,
        "device": result.device,
    }


def _write(report: dict[str, Any], design: StudyDesign, path: Path) -> list[str]:
    figure = path.with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    artifacts.write_file(path, artifacts.to_json(without_nan(report)))
    draw(report["summary"], design, figure)
    return [str(path), str(figure)]
