"""The JSON document that a benchmark ends in."""

import math
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from worker import REPOSITORY

from retrieve_rl import artifacts
from retrieve_rl.processes import usable_cores

RESULTS = REPOSITORY / "experiments/results"
MEASURED = ("benchmarks", "retrieve_rl")


def write(
    out: Path,
    *,
    benchmark: str,
    what: str | None,
    summary: dict[str, float],
    packages: tuple[str, ...],
    **measured: Any,
) -> None:
    """Prints the summary and writes the document.

    Args:
      what: the docstring of the benchmark.
      summary: what the goals speak of.
      packages: whose versions the numbers depend on.
      measured: what the summary was made from.
    """
    rounded = {name: _rounded(value) for name, value in summary.items()}
    for name, value in rounded.items():
        print(f"{name:45} {value}")
    document = {
        "benchmark": benchmark,
        "what": (what or "").strip(),
        "summary": rounded,
        **origin(),
        "cores": usable_cores(),
        "versions": {name: _version(name) for name in packages},
        **measured,
    }
    artifacts.write_file(out, artifacts.to_json(document))
    print(f"written: {out}")


def origin() -> dict[str, str | None]:
    """From which commit, on which day (UTC) and on which processor something is measured now."""
    return {
        "commit": commit(REPOSITORY),
        "day": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
    }


def commit(repository: Path) -> str | None:
    """What is checked out, with -dirty where the measured code differs; None outside git."""
    head = _git(repository, "rev-parse", "--short", "HEAD")
    if head is None:
        return None
    return f"{head}-dirty" if _git(repository, "status", "--porcelain", "--", *MEASURED) else head


def _git(repository: Path, *words: str) -> str | None:
    """What git says of this repository, not of one around it; None where it cannot."""
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(repository.parent)}
    try:
        done = subprocess.run(
            ["git", *words], cwd=repository, env=environment, capture_output=True, text=True
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str | None:
    """The name of its model, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or None


def _version(name: str) -> str | None:
    """None for a package that this platform lacks."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _rounded(value: float) -> float:
    """To four digits."""
    return round(value, 3 - math.floor(math.log10(abs(value)))) if value else 0.0
