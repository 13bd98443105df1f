"""A run stopped by a signal goes on where it stopped and ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time

from typer.testing import CliRunner

from retrieve_rl.cli.app import app

TRAIN = [
    *("train-policy", "--task", "hopper-medium", "--preset", "smoke", "--arm", "bc-experts"),
    *("--set", "train.steps=6000", "--set", "train.batch_size=16", "--set", "train.context_len=2"),
    *("--set", "data.num_experts=2", "--set", "evaluate.episodes=1", "--set", "mlp.width=16"),
    "--json",
]
OF_THE_MACHINE = ("timings", "peak_memory_bytes", "versions", "device")


def numbers(text):
    result = json.loads(text)
    return {key: value for key, value in result.items() if key not in OF_THE_MACHINE}


def wait_for(found, child, seconds=120):
    deadline = time.monotonic() + seconds
    while not found() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_terminated_run_resumes_and_ends_equal(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    child = subprocess.Popen(
        [sys.executable, "-m", "retrieve_rl.cli", *TRAIN, "--runs", str(stopped)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    wait_for(lambda: list(stopped.glob("train-policy/*/*/metrics.jsonl")), child)
    child.send_signal(signal.SIGTERM)
    out, errors = child.communicate(timeout=60)
    assert child.returncode == 143, errors
    assert out == "" and "the same command goes on from there" in errors
    (partial,) = stopped.glob("train-policy/*/*/partial.json")
    left = json.loads(partial.read_text())
    assert left["status"] == "interrupted" and 0 < left["last_step"] < 6000
    assert not (partial.parent / "result.json").exists()
    listed = CliRunner().invoke(app, ["list", "runs", "--runs", str(stopped), "--json"])
    assert [row["status"] for row in json.loads(listed.stdout)["runs"]] == ["interrupted"]

    resumed = CliRunner().invoke(app, [*TRAIN, "--runs", str(stopped)])
    assert resumed.exit_code == 0, resumed.stderr
    assert not partial.exists()
    steps = [
        json.loads(line)["step"]
        for line in (partial.parent / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == list(range(25, 6001, 25))
    uninterrupted = CliRunner().invoke(app, [*TRAIN, "--runs", str(whole)])
    assert numbers(resumed.stdout) == numbers(uninterrupted.stdout)
