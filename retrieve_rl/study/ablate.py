"""Running a study: cell after cell, each an ordinary run that is resumed or already done."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieve_rl import artifacts
from retrieve_rl.errors import Interrupted, RrlError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.config import config_hash
from retrieve_rl.results import run_folder, without_nan
from retrieve_rl.runs import carry_out
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.design import Cell, StudyDesign, cells, load_design
from retrieve_rl.study.report import draw, summarize


def ablate(
    name: str,
    *,
    task: str | None,
    preset: str | None,
    seed: int | None,
    settings: Sequence[str],
    root: Path,
    out: Path | None,
    reporter: Reporter,
    stop: StopRequest,
    force: bool,
    dry_run: bool,
) -> dict[str, Any]:
    """Entry point of `rrl ablate`: runs what is missing, then writes a JSON report and a figure.

    A failed cell is reported and does not stop the others. The report lies at `out`, by default
    under `root/reports/`, the figure beside it.

    Raises:
      UsageError: no such study, or a cell that cannot be configured.
      Interrupted: a signal; finished cells stay finished.
    """
    design = load_design(name, task=task, preset=preset, seed=seed)
    grid = cells(design, settings)
    if dry_run:
        planned = [_plan(cell, root) for cell in grid]
        return {"name": name, "cells": planned, "summary": {}, "failed": 0, "files": []}
    records = _run_all(grid, root, reporter, stop, force)
    report = {
        "schema_version": 1,
        "name": Path(name).stem,
        "title": design.title,
        "preset": design.preset,
        "design": design.model_dump(mode="json"),
        "cells": records,
        "summary": summarize(records),
        "failed": sum(record["status"] != "ok" for record in records),
    }
    return _write(report, design, out or root / "reports" / report["name"] / "report.json")


def _plan(cell: Cell, root: Path) -> dict[str, Any]:
    folder = _folder(cell, root)
    done = (folder / "result.json").exists()
    return {"cell": cell.label, "run": str(folder), "status": "done" if done else "to do"}


def _run_all(
    grid: list[Cell], root: Path, reporter: Reporter, stop: StopRequest, force: bool
) -> list[dict[str, Any]]:
    records = []
    seconds: list[float] = []
    for number, cell in enumerate(grid, start=1):
        left = ""
        if seconds:
            minutes = sum(seconds) / len(seconds) * (len(grid) - number + 1) / 60
            left = f", about {minutes:.0f} min left"
        reporter.say(f"cell {number}/{len(grid)}: {cell.label}{left}")
        began = time.monotonic()
        record = _run(cell, root, reporter, stop, force)
        if record.pop("computed"):
            seconds.append(time.monotonic() - began)
        records.append(record)
    return records


def _run(
    cell: Cell, root: Path, reporter: Reporter, stop: StopRequest, force: bool
) -> dict[str, Any]:
    from retrieve_rl.reframe.train import train_policy

    record = {
        "task": cell.task,
        "arm": cell.arm,
        "settings": cell.settings,
        "seed": cell.seed,
        "config_hash": config_hash(cell.config),
    }
    try:
        finished = carry_out(
            train_policy, cell.config, _folder(cell, root), root, reporter, stop, force=force
        )
    except Interrupted:
        raise
    except RrlError as error:
        reporter.say(f"failed: {cell.label}: {error}")
        return {**record, "status": "failed", "error": str(error), "computed": True}
    result = finished.result
    return {
        **record,
        "status": result.status,
        "results_version": result.results_version,
        "inputs": result.inputs,
        "training": result.training,
        "retrieval": result.retrieval,
        "outcomes": result.outcomes,
        "summary": result.summary,
        "timings": result.timings,
        "versions": result.versions,
        "device": result.device,
        "computed": finished.computed,
    }


def _folder(cell: Cell, root: Path) -> Path:
    return run_folder(
        root,
        "train-policy",
        task=cell.task,
        arm=cell.arm,
        preset=cell.config.preset,
        seed=cell.seed,
        config_hash=config_hash(cell.config),
    )


def _write(report: dict[str, Any], design: StudyDesign, path: Path) -> dict[str, Any]:
    figure = path.with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(report["summary"], design, figure)
    artifacts.write_file(path, artifacts.to_json(without_nan(report)))
    return {**report, "files": [str(path), str(figure)]}
