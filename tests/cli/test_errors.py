"""Every failure: what it says, and its exit code."""

import errno
import json
import subprocess

import pytest
from typer.testing import CliRunner

from retrieve_rl import doctor
from retrieve_rl.cli.app import app
from retrieve_rl.errors import DataError
from retrieve_rl.reframe import datasets


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="rrl")


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("RRL_RUNS", str(tmp_path / "runs"))
    yield tmp_path / "runs"
    assert not (tmp_path / "runs").exists()


def test_unknown_key_names_the_nearest():
    refused = invoke("train-policy", "--task", "hopper-medium", "--set", "train.step=3")
    assert refused.exit_code == 2
    assert "did you mean train.steps?" in refused.stderr
    assert "Traceback" not in refused.stderr and refused.stdout == ""


def test_unknown_names():
    assert "did you mean hopper-medium?" in invoke("train-amb", "--task", "hoper-medium").stderr
    for words in (["--task", "chess"], ["--task", "hopper-medium", "--arm", "none"], []):
        assert invoke("train-policy", *words).exit_code == 2


def test_broken_toml(tmp_path):
    task = tmp_path / "mine.toml"
    task.write_text("[env\nid = 3")
    refused = invoke("train-policy", "--task", task)
    assert refused.exit_code == 2 and "line 1" in refused.stderr


def test_an_arm_of_ones_own_is_called_by_its_file(tmp_path):
    arm = tmp_path / "mine.toml"
    arm.write_text("[train]\nsteps = 7\n")
    words = ["--task", "hopper-medium", "--arm", arm, "--dry-run", "--json"]
    plan = json.loads(invoke("train-policy", *words).stdout)
    assert plan["config"]["train"]["steps"] == 7
    assert "/hopper-medium/mine-default-s0-" in plan["folder"]


def test_file_without_experts(tmp_path):
    file = tmp_path / "data.hdf5"
    refused = invoke("train-policy", "--task", "hopper-medium", "--dataset", file)
    assert refused.exit_code == 2 and "--experts" in refused.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("bad row"), 5),
        (MemoryError(), 4),
        (OSError(errno.ENOSPC, "No space left on device"), 4),
        (OSError(errno.EFBIG, "File too large"), 4),
        (OSError(errno.EACCES, "Permission denied"), 1),
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory"), 4),
        (ValueError("surprise"), 1),
    ],
)
def test_exit_codes_and_one_line(monkeypatch, error, code):
    def fail():
        raise error

    monkeypatch.setattr(datasets, "local_datasets", fail)
    failed = invoke("data", "list")
    assert failed.exit_code == code
    assert failed.stdout == "" and len(failed.stderr.splitlines()) == 1
    assert ("--debug" in failed.stderr) == (code == 1)
    assert "Traceback" in invoke("data", "list", "--debug").stderr


def test_data_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "data"))
    listed = json.loads(invoke("data", "list", "--json").stdout)["datasets"]
    assert {row["made"] for row in listed} == {False}
    missing = invoke("data", "stats", "rrl/hopper/medium-short-v0")
    assert missing.exit_code == 5
    assert "rrl data make rrl/hopper/medium-short-v0" in missing.stderr
    assert invoke("data", "make", "hopper-easy").exit_code == 2
    assert invoke("data", "import", tmp_path / "none.hdf5").exit_code == 5


def test_data_stats():
    made = invoke("data", "make", "hopper/expert-short", "--json")
    assert made.exit_code == 0, made.stderr
    described = invoke("data", "stats", "rrl/hopper/expert-short-v0", "--json")
    assert json.loads(described.stdout) == json.loads(made.stdout)
    assert json.loads(made.stdout)["episodes"] == 40


def answers(returncode, stdout="", stderr=""):
    def run(command, **options):
        del options
        return subprocess.CompletedProcess(command, returncode, stdout, stderr)

    return run


def test_doctor_on_a_sound_machine(monkeypatch):
    monkeypatch.setattr(subprocess, "run", answers(0, "cpu: cpu\n"))
    report = json.loads(invoke("doctor", "--json").stdout)
    assert report["problems"] == [] and report["packages"]["jax"]
    assert report["devices"] == ["cpu: cpu"] and report["places"]["runs"]["free_bytes"] > 0


def test_doctor_reports_a_crash_and_fails_for_what_is_required(monkeypatch):
    monkeypatch.setattr(subprocess, "run", answers(-11))
    ended = invoke("doctor", "--json")
    report = json.loads(ended.stdout)
    assert ended.exit_code == 3
    assert any("signal 11" in problem for problem in report["problems"])
    assert "exact search is used" in report["scann"]


def test_doctor_does_without_scann(monkeypatch):
    def run(command, **options):
        missing = "scann" in command[-1]
        return answers(int(missing), "ok", "No module named 'scann'")(command, **options)

    monkeypatch.setattr(doctor.subprocess, "run", run)
    ended = invoke("doctor", "--json")
    assert ended.exit_code == 0
    assert "No module named" in json.loads(ended.stdout)["scann"]


def test_doctor_notes_where_no_engine_is(monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", answers(0, "ok"))
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = invoke("doctor", "--json")
    report = json.loads(ended.stdout)
    assert ended.exit_code == 0 and report["gnugo"] is None
    assert any("GNU Go is not on the PATH" in note for note in report["notes"])
    engine = tmp_path / "gnugo"
    engine.touch(0o755)
    report = json.loads(invoke("doctor", "--json").stdout)
    assert report["gnugo"] == str(engine)
    assert not any("GNU Go" in note for note in report["notes"])


def test_doctor_misses_every_requirement(monkeypatch):
    monkeypatch.setattr(subprocess, "run", answers(0, "ok"))
    version = doctor.metadata.version

    def without_mctx(package):
        if package == "mctx":
            raise doctor.metadata.PackageNotFoundError
        return version(package)

    monkeypatch.setattr(doctor.metadata, "version", without_mctx)
    ended = invoke("doctor", "--json")
    assert ended.exit_code == 3
    assert json.loads(ended.stdout)["problems"] == ["mctx is not installed: reinstall retrieve-rl"]
