"""Peak memory of every command that works on data, beside the data that it must hold.

Each command runs in a fresh process on the bundled data; of it and those that it starts the largest
counts, not their sum. The data it must hold are the files that it reads and makes: data sets,
positions, keys, index, memory, finished cells. A bare `import jax` in a process of its own says
what the libraries take before any data comes.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import result_file

RRL = (sys.executable, "-m", "retrieve_rl.cli")
MIB = 2**20
GAME = "(;GM[1]SZ[9]KM[7]RE[B+R];B[ee];W[cc];B[ab];W[gg];B[ha])"
HOPPER = "--task hopper-medium --preset {preset} --quiet"
GO = "--task go9 --preset {preset} --quiet"
OPPONENT = f"--opponent '{sys.executable} {Path(__file__).with_name('fake_engine.py')}'"
REFRAME, GO_AGENT = ("minari", "runs/memories"), ("runs/stores", "runs/indexes")
COMMANDS = {
    "data_make": ("data make {dataset} --quiet", ("minari",)),
    "train_amb": (f"train-amb {HOPPER}", ("minari",)),
    "train_policy": (f"train-policy {HOPPER}", REFRAME),
    "evaluate": (f"evaluate {HOPPER}", REFRAME),
    "ablate": (f"ablate memory-size {HOPPER}", REFRAME),
    "report": ("report memory-size-{preset}-hopper-medium --out {folder}/report", ("cells",)),
    "go_build_index": (f"build-index {GO}", GO_AGENT),
    "go_neighbors": (f"neighbors {GO} --row 0 --out {{folder}}/neighbors.svg", GO_AGENT),
    "go_train_policy": (f"train-policy {GO}", GO_AGENT),
    "go_evaluate": (f"evaluate {GO}", GO_AGENT),
    "go_match": (f"evaluate {{policy}} {OPPONENT} --games 2 --simulations 8 --quiet", GO_AGENT),
    "go_gtp": ("gtp {policy} --simulations 8", GO_AGENT),
    "go_add_games": (f"build-index {GO} --add {{folder}}/game.sgf", GO_AGENT),
}
"""Name -> words, and the folders with what it reads and makes, in the order they must run."""


def peak_bytes(words: list[str], folder: Path) -> int:
    """Runs a command to its end; its largest resident memory, or that of the largest process which
    it started and waited for, whichever is more.

    Raises:
      SystemExit: the command failed.
    """
    environment = {
        **os.environ,
        "RRL_RUNS": str(folder / "runs"),
        "MINARI_DATASETS_PATH": str(folder / "minari"),
        "RRL_CELLS": str(folder / "cells"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    process = subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def bytes_in(folder: Path) -> int:
    """Of all files, each counted once however many names it has."""
    files = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*")}
    return sum(files.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="smoke", help="as `rrl list presets`")
    parser.add_argument("--dataset", default="rrl/hopper/medium-short-v0", metavar="ID")
    default = result_file.RESULTS / "bench-command-memory.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    summary: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        imports = peak_bytes([sys.executable, "-c", "import jax; jax.devices()"], folder)
        summary["bare_jax_mib"] = imports / MIB
        (folder / "game.sgf").write_text(GAME)
        for command, (words, holds) in COMMANDS.items():
            policy = next(folder.glob("runs/train-policy/go9/*/"), None)
            given = shlex.split(words.format(**vars(options), folder=folder, policy=policy))
            summary[f"{command}_peak_mib"] = peak_bytes([*RRL, *given], folder) / MIB
            summary[f"{command}_data_mib"] = sum(bytes_in(folder / part) for part in holds) / MIB
    result_file.write(
        options.out,
        benchmark="command-memory",
        what=__doc__,
        summary=summary,
        packages=("jax", "numpy", "minari", "scann"),
        preset=options.preset,
    )


if __name__ == "__main__":
    main()
