"""`rrl` answers at once, and explains itself."""

import statistics
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from retrieve_rl import __version__
from retrieve_rl.cli.app import app

RRL = [sys.executable, "-m", "retrieve_rl.cli"]
COMMANDS = (
    "train-amb",
    "train-policy",
    "evaluate",
    "ablate",
    "compare",
    "report",
    "build-index",
    "neighbors",
    "gtp",
    "data make",
    "data import",
    "data list",
    "data stats",
    "list",
    "show",
    "verify",
    "doctor",
)
BARE = """
import typer
app = typer.Typer()
@app.command()
def one(): pass
@app.command()
def two(): pass
app()
"""


def invoke(*words):
    return CliRunner().invoke(app, list(words), prog_name="rrl")


def test_alone_prints_the_help():
    alone = invoke()
    assert alone.exit_code == 0
    assert alone.stdout.strip() == invoke("--help").stdout.strip()
    assert "train-policy" in alone.stdout
    data = invoke("data")
    assert data.exit_code == 0 and "stats" in data.stdout


def test_version():
    assert invoke("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command):
    result = invoke(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"Example: rrl {command}" in result.stdout


def test_help_shows_defaults():
    text = invoke("train-policy", "--help").stdout
    for default in ("default", "(reframe or retrieval)", "(runs)", "auto", "0"):
        assert f"[default: {default}]" in text


def test_wrong_option_is_a_usage_error():
    assert invoke("train-policy", "--epochs", "3").exit_code == 2
    assert invoke("list", "games").exit_code == 2


def test_importing_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, retrieve_rl.cli\n"
        "heavy = {'jax', 'flax', 'numpy', 'pydantic', 'minari', 'gymnasium', 'rich', 'h5py'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_help_starts_in_under_twice_the_time_of_a_bare_program():
    def seconds(words):
        began = time.perf_counter()
        subprocess.run([*words, "--help"], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    ours, bare = [], []
    for _ in range(7):  # interleaved, so that a busy machine slows both
        ours.append(seconds(RRL))
        bare.append(seconds([sys.executable, "-c", BARE]))
    assert statistics.median(ours) < 2 * statistics.median(bare)


def test_a_reader_that_leaves_is_no_error():
    for words in (["--help"], ["list", "arms"], ["list", "--json"]):
        child = subprocess.Popen(
            [*RRL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        child.stdout.close()
        errors = child.stderr.read()
        child.stderr.close()
        assert child.wait() == 0
        assert errors == ""
