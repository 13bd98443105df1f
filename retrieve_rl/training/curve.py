"""The learning curve of a run: a line of JSON a logged step."""

from pathlib import Path

from retrieve_rl.training import json_lines, spent

FILE_NAME = "metrics.jsonl"


def log_metrics(folder: Path, step: int, metrics: dict[str, float]) -> None:
    """Appends a line to the learning curve of the run in `folder`."""
    json_lines.append(folder / FILE_NAME, {"step": step, **metrics})


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Every line of the learning curve of the run in `folder`. Raises DataError."""
    return json_lines.read(folder / FILE_NAME, "step")


def forget_after(folder: Path, step: int) -> None:
    """Drops what was logged after `step`, from where training goes on; it will come again."""
    for name in (FILE_NAME, spent.FILE_NAME):
        json_lines.forget_after(folder / name, step)
