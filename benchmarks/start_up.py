"""How soon the program answers: `rrl --help` beside a bare Typer program of two commands, and the
first start of `rrl train-policy` beside its second, which finds its compiled programs.

The two of a pair take turns. A start is the whole command on its shortest setting, one step of
training and one episode without a memory; the data is there already, and each first start has an
empty compilation cache.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import result_file
from turns import in_turn, medians

BARE_PROGRAM = """
import typer
app = typer.Typer()
@app.command()
def one(): pass
@app.command()
def two(): pass
app()
"""
SHORTEST_TRAINING = (
    "train-policy --task hopper-medium --arm backbone --preset smoke"
    " --device cpu --force --quiet --set train.steps=1 --set evaluate.episodes=1"
)
RRL = (sys.executable, "-m", "retrieve_rl.cli")


def help_commands() -> dict[str, Callable[[], object]]:
    """The two programs, each asked for its help."""
    return {
        "help": _command(*RRL, "--help"),
        "bare_help": _command(sys.executable, "-c", BARE_PROGRAM, "--help"),
    }


def training_starts(folder: Path) -> dict[str, Callable[[], object]]:
    """A start without compiled programs, and one that finds them."""
    cache = folder / "cache"
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(cache),
        "MINARI_DATASETS_PATH": str(folder / "data"),
        "RRL_RUNS": str(folder / "runs"),
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    train = _command(*RRL, *SHORTEST_TRAINING.split(), environment=environment)

    def first_start() -> None:
        shutil.rmtree(cache, ignore_errors=True)
        train()

    return {"first_start": first_start, "second_start": train}


def _command(*words: str, environment: dict[str, str] | None = None) -> Callable[[], object]:
    return lambda: subprocess.run(words, stdout=subprocess.DEVNULL, env=environment, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--help-rounds", type=int, default=15)
    parser.add_argument("--start-rounds", type=int, default=3)
    default = result_file.RESULTS / "bench-start-up.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    samples = in_turn(help_commands(), options.help_rounds)
    with tempfile.TemporaryDirectory() as folder:
        samples |= in_turn(training_starts(Path(folder)), options.start_rounds)
    seconds = medians(samples)
    result_file.write(
        options.out,
        benchmark="start-up",
        what=__doc__,
        summary={
            "help_vs_bare": seconds["help"] / seconds["bare_help"],
            "first_vs_second_start": seconds["first_start"] / seconds["second_start"],
            **{f"{name}_seconds": value for name, value in seconds.items()},
        },
        packages=("typer", "jax"),
        samples=samples,
    )


if __name__ == "__main__":
    main()
