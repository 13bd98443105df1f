"""The lock file and the project in a fresh environment of each Python, and `rrl` run from it."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_SMOKE = ("train-policy", "--task", "hopper-medium", "--preset", "smoke", "--json", "-q")
_PIP = ("-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input")
_SERVES = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
_LIMIT_SECONDS = 1800
_NOT_FRESH = ("PYTHON", "VIRTUAL_ENV", "RRL_", "JAX_", "MINARI_")
"""How variables begin through which other environments and runs would be seen."""


@dataclass(frozen=True)
class Install:
    """How long each step took."""

    python: str
    install_seconds: float
    doctor_seconds: float
    smoke_seconds: float


def find_python(version: str) -> Path | None:
    """The first interpreter of that version on the PATH that runs and can make environments."""
    for folder in os.get_exec_path():
        python = shutil.which(f"python{version}", path=folder)
        if python is None:
            continue
        done = subprocess.run([python, "-c", _SERVES], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return Path(python)
    return None


def install(python: Path, checkout: Path, folder: Path) -> Install:
    """Makes an environment in the folder and lets the program train there.

    Raises:
      RuntimeError: a step failed; says which, and what it printed.
    """
    source, environment = folder / "source", folder / "environment"
    own, program = environment / "bin/python", environment / "bin/rrl"
    began = time.monotonic()
    _run(folder, python, "-m", "venv", environment)
    _copy(checkout, source)
    lock = ("--require-hashes", "-r", source / "requirements.lock")
    _run(folder, own, *_PIP, *lock)
    _run(folder, own, *_PIP, "--no-deps", "--no-build-isolation", source)
    shutil.rmtree(source)
    installed = time.monotonic()
    _run(folder, program, "doctor")
    examined = time.monotonic()
    result = json.loads(_run(folder, program, *_SMOKE))
    return Install(
        python=result["versions"]["python"],
        install_seconds=round(installed - began, 1),
        doctor_seconds=round(examined - installed, 1),
        smoke_seconds=round(time.monotonic() - examined, 1),
    )


def _copy(checkout: Path, folder: Path) -> None:
    """What git tracks, as it is in the checkout now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=checkout, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split("\0"):
        if (checkout / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / name, folder / name)


def _run(folder: Path, *words: str | Path) -> str:
    """What a command prints that starts in the folder and keeps all its files there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FRESH)}
    own = {
        "RRL_RUNS": str(folder / "runs"),
        "MINARI_DATASETS_PATH": str(folder / "data"),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
    }
    said = " ".join(str(word) for word in words)
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=kept | own,
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{said}: not done after {_LIMIT_SECONDS} s") from error
    if done.returncode:
        raise RuntimeError(f"{said}: exit {done.returncode}: {done.stderr[-1000:]}")
    return done.stdout
