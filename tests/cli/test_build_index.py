"""rrl build-index on a user's own matrix."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from retrieve_rl.cli.app import app


@pytest.fixture
def files(tmp_path, rng):
    np.save(tmp_path / "keys.npy", rng.normal(size=(300, 8)).astype(np.float32))
    np.savez(tmp_path / "values.npz", row=np.arange(300))
    np.save(tmp_path / "groups.npy", np.repeat(np.arange(30), 10))
    return tmp_path


def invoke(folder, *arguments):
    texts = [str(argument).replace("@", f"{folder}/") for argument in arguments]
    return CliRunner().invoke(app, ["build-index", *texts])


def test_a_matrix_becomes_an_index_that_verifies(files, monkeypatch):
    monkeypatch.setenv("RRL_RUNS", str(files / "runs"))
    rows = ("--keys", "@keys.npy", "--values", "@values.npz", "--groups", "@groups.npy")
    result = invoke(files, *rows, "--out", "@index", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["num_keys"] == 300 and report["recall_at_10"] == 1.0 and report["kind"] == "exact"
    assert "300 keys: up to 200,000 exact search is fast" in result.stderr
    assert CliRunner().invoke(app, ["verify", str(files / "index")]).exit_code == 0
    grown = invoke(files, *rows, "--add", "@index", "--out", "@grown", "--json")
    assert grown.exit_code == 0, grown.output
    assert json.loads(grown.stdout)["num_keys"] == 600


def test_scann_by_name(files):
    result = invoke(files, "--keys", "@keys.npy", "--out", "@index", "--index", "scann")
    assert result.exit_code == 0, result.output
    assert "scann" in result.stdout and "recall_at_10" in result.stdout


def test_shards_of_a_wanted_size(files):
    result = invoke(
        files, "--keys", "@keys.npy", "--out", "@index", "--shard-rows", "100", "--json"
    )
    assert result.exit_code == 0 and json.loads(result.stdout)["num_shards"] == 3


def test_a_dry_run_writes_nothing(files):
    result = invoke(files, "--keys", "@keys.npy", "--out", "@index", "--dry-run", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["kind"] == "exact"
    assert not (files / "index").exists()


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ((), 2, "needs --keys FILE.npy and --out DIR"),
        (("--keys", "@nowhere.npy", "--out", "@i"), 5, "is not there"),
        (("--keys", "@values.npz", "--out", "@i"), 5, "expected an npy file"),
        (
            ("--keys", "@keys.npy", "--out", "@i", "--values", "@keys.npy"),
            5,
            "expected an npz file",
        ),
        (("--keys", "@keys.npy", "--out", "@i", "--max-memory", "0.01"), 4, "raise --max-memory"),
        (("--keys", "@keys.npy", "--out", "@i", "--recall", "2"), 2, "recall"),
        (("--keys", "@keys.npy", "--out", "@i", "--add", "@j", "--index", "exact"), 2, "--add"),
        (("--keys", "@keys.npy", "--out", "@i", "--add", "@j"), 5, "not an artifact"),
        (("--task", "go9", "--keys", "@keys.npy"), 2, "leave out the options of --keys"),
        *(
            (("--keys", "@keys.npy", "--out", "@i", *words), 2, "are of games: with --task NAME")
            for words in (
                ("--preset", "smoke"),
                ("--seed", "1"),
                ("--set", "index.wanted_recall=0.9"),
                ("--games", "@games"),
                ("--device", "cpu"),
            )
        ),
        (("--task", "go9", "--games", "@nowhere.sgf"), 5, "expected game records"),
        (("--task", "go7"), 2, "did you mean go9"),
        (("--task", "go9", "--set", "index.seed=1"), 2, "use --seed"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(files, arguments, code, message):
    result = invoke(files, *arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr and "Traceback" not in result.output
    assert not (files / "i").exists()


def test_a_missed_recall_exits_6_and_keeps_the_index(files, monkeypatch):
    from retrieve_rl.retrieval.recall import RecallTest

    monkeypatch.setattr(RecallTest, "recall", lambda self, index: (0.5, 0.0))
    result = invoke(files, "--keys", "@keys.npy", "--out", "@index")
    assert result.exit_code == 6 and "0.95 was wanted" in result.stderr
    assert (files / "index" / "MANIFEST.json").exists()


def test_a_task_says_what_it_would_do(files):
    result = invoke(
        files, "--task", "go9", "--preset", "smoke", "--dry-run", "--json", "--runs", "@"
    )
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert plan["status"] == "not started" and plan["config"]["paper"] == "go"
    assert plan["folder"].startswith(f"{files}/build-index/go9/retrieval-smoke-s0-")
    assert plan["inputs"] == {"bundled": {"here": True}}
