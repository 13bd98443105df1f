"""The JSON document that a benchmark ends in."""

import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from worker import REPOSITORY

from retrieve_rl import artifacts
from retrieve_rl.processes import usable_cores

RESULTS = REPOSITORY / "experiments/results"


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
        "cores": usable_cores(),
        "versions": {name: _version(name) for name in packages},
        **measured,
    }
    artifacts.write_file(out, artifacts.to_json(document))
    print(f"written: {out}")


def _version(name: str) -> str | None:
    """None for a package that this platform lacks."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _rounded(value: float) -> float:
    """To four digits."""
    return round(value, 3 - math.floor(math.log10(abs(value)))) if value else 0.0
