"""What there is: tasks, presets, arms, runs, metrics, artifacts."""

import json
from pathlib import Path
from typing import Any

from retrieve_rl.cli.locate import status_of
from retrieve_rl.errors import DataError, UsageError

_METRIC_LINES = 5


def tasks() -> list[dict[str, Any]]:
    from retrieve_rl.config import named_files
    from retrieve_rl.reframe.config import resolve

    configs = {name: resolve(name) for name in named_files("tasks")}
    rows = [
        {
            "name": name,
            "paper": config.paper,
            "env": config.env.id,
            "data": config.data.dataset,
            "experts": config.data.experts,
            "target": config.env.target_return,
        }
        for name, config in configs.items()
    ]
    return rows + _go_tasks()


def presets() -> list[dict[str, Any]]:
    from retrieve_rl.config import named_files
    from retrieve_rl.reframe.config import resolve

    any_task = next(iter(named_files("tasks")))
    rows = []
    for name, file in named_files("presets").items():
        config = resolve(any_task, preset=name)
        rows.append(
            {
                "name": name,
                "paper": config.paper,
                "steps": config.train.steps,
                "memory_steps": config.memory.steps,
                "experts": config.data.num_experts,
                "episodes": config.evaluate.episodes,
                "description": _description(file),
            }
        )
    return sorted(rows, key=_by_budget) + sorted(_go_presets(), key=_by_budget)


def arms() -> list[dict[str, Any]]:
    from retrieve_rl.config import named_files

    return [
        {"name": name, "paper": paper, "description": _description(file)}
        for paper, kind in (("reframe", "arms"), ("go", "arms/go"))
        for name, file in named_files(kind).items()
    ]


def runs(root: Path) -> list[dict[str, Any]]:
    """Every run below `root`, finished or not."""
    return [_describe_run(file.parent) for file in sorted(root.glob("*/*/*/config.json"))]


def last_metrics(folder: Path) -> list[dict[str, Any]]:
    """The last lines of a run's learning curve."""
    log = folder / "metrics.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    try:
        return [json.loads(line) for line in lines[-_METRIC_LINES:]]
    except ValueError as error:
        raise DataError(f"{log} is not JSON lines: {error}") from None


def check_artifacts(path: Path) -> dict[str, Any]:
    """Verifies the artifact at `path`, or every one below it.

    Returns: counts of what was checked, and a line for each damaged artifact.

    Raises:
      DataError: there is no artifact.
    """
    from retrieve_rl import artifacts

    folders = sorted(file.parent for file in path.rglob(artifacts.MANIFEST_NAME))
    folders = [folder for folder in folders if not _half_built(folder.relative_to(path))]
    if not folders:
        raise DataError(f"no artifact at or below {path}: no {artifacts.MANIFEST_NAME} is there")
    files = size = 0
    damaged = []
    for folder in folders:
        try:
            manifest = artifacts.verify(folder)
        except DataError as error:
            damaged.append(str(error))
        else:
            files += len(manifest.files)
            size += sum(entry["size"] for entry in manifest.files.values())
    return {"artifacts": len(folders), "files": files, "bytes": size, "damaged": damaged}


def _go_tasks() -> list[dict[str, Any]]:
    from retrieve_rl.config import named_files
    from retrieve_rl.go.config import resolve

    configs = {name: resolve(name) for name in named_files("tasks/go")}
    return [
        {
            "name": name,
            "paper": config.paper,
            "env": None,
            "data": ", ".join(source.file for source in config.data.sources),
            "experts": None,
            "target": None,
        }
        for name, config in configs.items()
    ]


def _go_presets() -> list[dict[str, Any]]:
    """Steps are those of the encoder."""
    from retrieve_rl.config import named_files
    from retrieve_rl.go.config import resolve

    any_task = next(iter(named_files("tasks/go")))
    return [
        {
            "name": name,
            "paper": "go",
            "steps": resolve(any_task, preset=name).encoder.steps,
            "memory_steps": None,
            "experts": None,
            "episodes": None,
            "description": _description(file),
        }
        for name, file in named_files("presets/go").items()
    ]


def _by_budget(row: dict[str, Any]) -> tuple[int, str]:
    return row["steps"], row["name"]


def _describe_run(folder: Path) -> dict[str, Any]:
    from retrieve_rl.results import read_result

    row: dict[str, Any] = {"folder": str(folder), "status": status_of(folder)}
    score, measure = None, None
    if row["status"] == "finished":
        try:
            result = read_result(folder)
            row["status"] = result.status
            score, measure = result.summary.get("mean"), result.summary.get("measure")
        except (DataError, UsageError):
            row["status"] = "damaged"
    return {**row, "score": score, "measure": measure}


def _description(file: Path) -> str:
    """The first comment line of a TOML."""
    first = file.read_text().partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _half_built(relative: Path) -> bool:
    """Folders that begin with a dot are being written, or were when a process died."""
    return any(part.startswith(".") for part in relative.parts)
