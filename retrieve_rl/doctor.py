"""What this program needs of a machine, and whether it is there."""

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from retrieve_rl.config import named_files
from retrieve_rl.processes import usable_cores
from retrieve_rl.reframe.minari_layout import datasets_root
from retrieve_rl.results import REQUIREMENTS

_OPTIONAL = ("scann", "ray")
_REQUIRED = tuple(name for name in REQUIREMENTS if name not in _OPTIONAL)
_ENVIRONMENTS = ("Hopper-v5", "Walker2d-v5")
_LOW_DISK_BYTES = 2 * 1024**3
_CHILD_SECONDS = 120


def examine(runs_root: Path) -> dict[str, Any]:
    """Checks everything; `problems` names what is needed and broken, `notes` what is not ideal."""
    problems: list[str] = []
    notes: list[str] = []
    report = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _packages(problems),
        "devices": _devices(problems),
        "scann": _scann(notes),
        "gnugo": _engine(notes),
        "environments": {env_id: _environment(env_id, problems) for env_id in _ENVIRONMENTS},
        "tasks": len(named_files("tasks")) + len(named_files("tasks/go")),
        "places": {
            "data": _place(datasets_root(), notes),
            "runs": _place(runs_root, notes),
        },
        "cores": usable_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    if not report["tasks"]:
        problems.append("the experiment files are missing from this installation: reinstall it")
    return {**report, "problems": problems, "notes": notes}


def _packages(problems: list[str]) -> dict[str, str | None]:
    found = {name: _version(name) for name in (*_REQUIRED, *_OPTIONAL)}
    for name in _REQUIRED:
        if found[name] is None:
            problems.append(f"{name} is not installed: reinstall retrieve-rl")
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _devices(problems: list[str]) -> list[str]:
    status, text = _in_child(
        "import jax, jax.numpy as jnp\n"
        "assert float(jnp.ones(8).sum()) == 8\n"
        "print(*[f'{d.platform}: {d.device_kind}' for d in jax.devices()], sep='\\n')"
    )
    if status != 0:
        problems.append(f"JAX does not compute: {text}")
        return []
    return text.splitlines()


def _scann(notes: list[str]) -> str:
    """ScaNN is native code built for few platforms; a child suffers its crash."""
    status, text = _in_child("import scann; print('works')")
    if status == 0:
        return "works"
    notes.append("ScaNN cannot be used here: exact search is used")
    return f"exact search is used ({text})"


def _engine(notes: list[str]) -> str | None:
    found = shutil.which("gnugo")
    if found is None:
        notes.append("GNU Go is not on the PATH: a match of Go needs an engine (Debian: gnugo)")
    return found


def _environment(env_id: str, problems: list[str]) -> str:
    status, text = _in_child(
        f"import gymnasium; env = gymnasium.make({env_id!r}); env.reset(seed=0)\n"
        "env.step(env.action_space.sample()); print('steps')"
    )
    if status != 0:
        problems.append(f"{env_id} does not step: {text}")
        return "broken"
    return "steps"


def _in_child(code: str) -> tuple[int, str]:
    """Exit status and what matters of the output: all of stdout, or the last line of stderr."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_CHILD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer in {_CHILD_SECONDS} seconds"
    if done.returncode == 0:
        return 0, done.stdout.strip()
    if done.returncode < 0:
        return done.returncode, f"it crashed with signal {-done.returncode}"
    return done.returncode, (done.stderr.strip().splitlines() or ["no message"])[-1]


def _place(folder: Path, notes: list[str]) -> dict[str, Any]:
    """Free disk of the nearest folder that exists, and whether it can be written."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK)
    if free < _LOW_DISK_BYTES:
        notes.append(f"only {free / 1024**3:.1f} GiB are free for {folder}")
    if not writable:
        notes.append(f"{folder} cannot be written")
    return {"path": str(folder), "free_bytes": free, "writable": writable}
