"""Runs and their results: where a run lies, and the one JSON document it ends in."""

import math
import platform
import resource
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from retrieve_rl.config import Strict, validate
from retrieve_rl.documents import read_document, write_document
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest

SCHEMA_VERSION = 1
REQUIREMENTS = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "jaxtyping",
    "numpy",
    "scipy",
    "scann",
    "h5py",
    "minari",
    "gymnasium",
    "mujoco",
    "mctx",
    "pgx",
    "sgfmill",
    "matplotlib",
    "pydantic",
    "typer",
    "rich",
)
"""The packages that this program needs; of scann those who have Linux."""
CHECKPOINT = "checkpoint_sha256"
"""In the `training` of a result, the digest of the checkpoint that was judged."""


class RunResult(Strict):
    """What `result.json` holds. `outcomes` are raw, `summary` is derived from them.

    `status` is "partial" where not every outcome is whole; no study takes such a result.

    `timings`, `peak_memory_bytes`, `versions` and `device` describe the machine; all else is the
    same for the same config on the same machine.
    """

    schema_version: Literal[1] = 1
    command: str
    status: Literal["ok", "partial", "failed", "interrupted"]
    task: str
    arm: str
    preset: str
    seed: int
    results_version: int
    config_hash: str
    config: dict[str, Any]
    inputs: dict[str, Any]
    training: dict[str, Any] | None = None
    retrieval: dict[str, Any] | None = None
    outcomes: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    timings: dict[str, float] = {}
    peak_memory_bytes: int = 0
    versions: dict[str, str] = {}
    device: dict[str, Any] = {}


class Measurements(NamedTuple):
    """The raw outcomes of a run as columns.

    Attributes:
      episodes: what names each evaluation episode or game.
      counts: for how many (positions) each counts; empty where all count for one.
      values: measure -> one total an episode.
    """

    episodes: list[int | str]
    counts: list[int]
    values: dict[str, list[float]]


@dataclass(frozen=True)
class Run:
    """The place and the manner of one command's work.

    Attributes:
      folder: the run's own directory.
      root: the directory of all runs; shared artifacts lie under it.
      reporter: where progress goes.
      stop: set by a signal; long work looks at it and saves.
      devices: how many share each batch of a training.
    """

    folder: Path
    root: Path
    reporter: Reporter
    stop: StopRequest
    devices: int = 1


def run_folder(
    root: Path, command: str, *, task: str, arm: str, preset: str, seed: int, config_hash: str
) -> Path:
    """The directory of a run: a pure function of what it computes."""
    return root / command / task / f"{arm}-{preset}-s{seed}-{config_hash[:8]}"


def write_result(folder: Path, result: RunResult) -> Path:
    """Writes `result.json`, the last file of a run, whole or not at all."""
    path = folder / "result.json"
    write_document(path, without_nan(result.model_dump(mode="json")))
    return path


def read_result(path: Path) -> RunResult:
    """Reads a `result.json`, or the one in a run's folder. Raises DataError."""
    path = path / "result.json" if path.is_dir() else path
    if not path.exists():
        raise DataError(f"{path} does not exist: no run is there, or it has not finished")
    document = read_document(path, schema_version=SCHEMA_VERSION)
    try:
        return validate(RunResult, document, source=str(path))
    except UsageError as error:
        raise DataError(f"{error}: this is no result of a run") from None


def retrained(judged: RunResult, trained: RunResult) -> list[str]:
    """Where a training has another checkpoint than the one its judgment is of, which, as text.

    Nothing where one of the results does not name its checkpoint, as older ones do not.
    """
    then, now = ((result.training or {}).get(CHECKPOINT) for result in (judged, trained))
    if then is None or now is None or then == now:
        return []
    return [f"the {CHECKPOINT} of its training is {then[:40]}, now {now[:40]}"]


def machine() -> dict[str, Any]:
    """The fields of a result that describe where it was computed."""
    import jax

    device = jax.devices()[0]
    return {
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT,
        "versions": {"python": platform.python_version(), **_versions(), **_source()},
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
        },
    }


def without_nan(value: Any) -> Any:
    """Replaces NaN and infinities, which strict JSON lacks, by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def _source() -> dict[str, str]:
    """The commit of the checkout that the program runs from, "+changes" where files differ from it;
    nothing where it is installed."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return {}

    def git(*words: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"source": commit + ("+changes" if changes else "")}


def _versions() -> dict[str, str]:
    found = {}
    for package in ("retrieve-rl", *REQUIREMENTS):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
