"""Logs of a run: a line of JSON a record, appended, and cut back where training resumes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError


def append(log: Path, record: Mapping[str, Any]) -> None:
    """Adds a line. Raises ValueError for a NaN."""
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(record, allow_nan=False) + "\n")


def read(log: Path, *keys: str) -> list[dict[str, Any]]:
    """Every record; none where there is no log. Raises DataError unless each has these keys."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        records = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{log} is not JSON lines: {error}") from None
    if not all(isinstance(record, dict) and record.keys() >= set(keys) for record in records):
        raise DataError(f"{log} has a line without {' and '.join(keys)}")
    return records


def forget_after(log: Path, step: int) -> None:
    """Drops the records of later steps, and lines that a kill cut short."""
    if log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [line + "\n" for line in lines if _step(line) <= step]
        artifacts.write_file(log, "".join(kept))


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return float("inf")
