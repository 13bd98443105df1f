"""The learning curve of a run: a line of JSON a logged step, cut back where training resumes."""

import json
from pathlib import Path

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.training import spent

FILE_NAME = "metrics.jsonl"


def log_metrics(folder: Path, step: int, metrics: dict[str, float]) -> None:
    """Appends a line to the learning curve of the run in `folder`."""
    with open(folder / FILE_NAME, "a") as file:
        file.write(json.dumps({"step": step, **metrics}, allow_nan=False) + "\n")


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Every line of the learning curve of the run in `folder`. Raises DataError."""
    log = folder / FILE_NAME
    try:
        lines = log.read_text().splitlines() if log.exists() else []
        metrics = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{log} is not JSON lines: {error}") from None
    if not all(isinstance(line, dict) and "step" in line for line in metrics):
        raise DataError(f"{log} has a line that is no record of a step")
    return metrics


def forget_after(folder: Path, step: int) -> None:
    """Drops what was logged after `step`, from where training goes on; it will come again."""
    for log in (folder / FILE_NAME, folder / spent.FILE_NAME):
        if log.exists():
            lines = [line for line in log.read_text().splitlines() if _logged_step(line) <= step]
            artifacts.write_file(log, "".join(line + "\n" for line in lines))


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError):  # a line cut short by a kill
        return float("inf")
