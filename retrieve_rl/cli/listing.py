"""What there is: tasks, presets, arms, studies, runs, metrics, artifacts."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieve_rl.cli.locate import status_of
from retrieve_rl.errors import DataError, UsageError

_METRIC_LINES = 5
_ABSENT = object()


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


def studies() -> list[dict[str, Any]]:
    from retrieve_rl.config import named_files
    from retrieve_rl.study.design import load_design

    designs = {name: load_design(name) for name in named_files("ablations")}
    return [
        {
            "name": name,
            "title": design.title,
            "tasks": ", ".join(design.tasks),
            "preset": design.preset,
        }
        for name, design in designs.items()
    ]


def runs(root: Path, where: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every run below `root`, finished or not, whose values are those of every `key=value`.

    A key is a column of the table or one of the config ("data.num_experts").

    Raises:
      UsageError: a condition without `=`, or a key that no run has.
    """
    wanted = [_condition(text) for text in where]
    found = [
        (_describe_run(file.parent), _config_values(file))
        for file in sorted(root.glob("*/*/*/config.json"))
    ]
    for key, _ in wanted:
        if found and not any(key in row or key in config for row, config in found):
            raise UsageError(f"--where {key}=...: no run has {key}")
    return [
        row
        for row, config in found
        if all({**config, **row}.get(key, _ABSENT) == value for key, value in wanted)
    ]


def last_metrics(folder: Path) -> list[dict[str, Any]]:
    """The last lines of a run's learning curve."""
    from retrieve_rl.training.curve import read_metrics

    return read_metrics(folder)[-_METRIC_LINES:]


def check_artifacts(path: Path) -> dict[str, Any]:
    """Verifies every artifact and every result of a run at or below the folder `path`.

    Returns: counts of what was checked, and a line for each that is damaged.

    Raises:
      DataError: there is none.
    """
    from retrieve_rl import artifacts
    from retrieve_rl.documents import read_document

    folders = [file.parent for file in _whole(path, artifacts.MANIFEST_NAME)]
    results = _whole(path, "result.json")
    if not folders and not results:
        raise DataError(
            f"nothing to check at or below {path}: neither {artifacts.MANIFEST_NAME} nor"
            " result.json is there"
        )
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
    for result in results:
        try:
            read_document(result)
        except DataError as error:
            damaged.append(str(error))
        else:
            files += 1
            size += result.stat().st_size
    return {
        "artifacts": len(folders),
        "results": len(results),
        "files": files,
        "bytes": size,
        "damaged": damaged,
    }


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
    """Where a run lies, what it is, how it ended; the score of one that is finished."""
    from retrieve_rl.results import read_result
    from retrieve_rl.runs import read_config

    row: dict[str, Any] = {"folder": str(folder), "status": status_of(folder)}
    numbers: dict[str, Any] = dict.fromkeys(("score", "low", "high", "measure"))
    try:
        config = read_config(folder)
        if row["status"] == "finished":
            result = read_result(folder)
            row["status"] = result.status
            summary = {**result.summary, "score": result.summary.get("mean")}
            numbers = {name: summary.get(name) for name in numbers}
    except (DataError, UsageError):
        config, row["status"] = {}, "damaged"
    trained = config.get("trained", config)  # a match names its policy by what trained it
    names = {name: trained.get(name) for name in ("task", "arm", "preset", "seed")}
    return {**row, "command": folder.parent.parent.name, **names, **numbers}


def _condition(text: str) -> tuple[str, Any]:
    """ "data.num_experts=60" -> the dotted key and its value, as `--set` reads it."""
    from retrieve_rl.config import dotted, parse_setting

    values = dotted(parse_setting(text))
    if len(values) != 1:
        raise UsageError(f"--where {text!r} must name one value, as in --where seed=0")
    return next(iter(values.items()))


def _config_values(file: Path) -> dict[str, Any]:
    """Dotted key -> value of a run's config; nothing where it cannot be read."""
    from retrieve_rl.config import dotted
    from retrieve_rl.documents import read_json

    try:
        return dotted(read_json(file))
    except DataError:
        return {}


def _description(file: Path) -> str:
    """The first sentence of the comment that a TOML begins with."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), file.read_text().splitlines())
    text = " ".join(line.removeprefix("#").strip() for line in lines)
    sentence = re.match(r".*?(?<! al)[.?](?= |$)", text)
    return sentence.group() if sentence else text


def _whole(path: Path, name: str) -> list[Path]:
    """The files of that name below `path`, but for folders that begin with a dot: they are being
    written, or were when a process died."""
    found = sorted(path.rglob(name))
    return [file for file in found if not _hidden(file.relative_to(path))]


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)
