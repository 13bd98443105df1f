"""A run has one writer, is done once, and goes on where it stopped."""

import json
import signal
import threading

import pytest

from retrieve_rl import artifacts
from retrieve_rl.config import Strict
from retrieve_rl.errors import DataError, Interrupted, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.results import RunResult
from retrieve_rl.runs import carry_out, read_config
from retrieve_rl.signals import StopRequest


class Config(Strict):
    steps: int = 4


class Worker:
    """Counts to `steps` in a file; asked to stop, it leaves what it has."""

    def __init__(self):
        self.calls = 0
        self.stop_at = None

    def __call__(self, config, run):
        self.calls += 1
        file = run.folder / "count"
        count = int(file.read_text()) if file.exists() else 0
        while count < config.steps:
            count += 1
            file.write_text(str(count))
            if count == self.stop_at:
                run.stop.signal_number = signal.SIGTERM
            run.stop.raise_if_requested("count saved")
        return RunResult(
            command="count",
            status="ok",
            task="t",
            arm="a",
            preset="p",
            seed=0,
            results_version=1,
            config_hash="",
            config=config.model_dump(),
            inputs={},
            summary={"count": count, "calls": self.calls},
        )


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def go(worker, tmp_path):
    def go(**options):
        folder = tmp_path / "count" / "run"
        reporter = Reporter(verbosity=-1)
        return carry_out(worker, Config(), folder, tmp_path, reporter, StopRequest(), **options)

    return go


def test_done_once(go, worker):
    first = go()
    second = go()
    assert first.computed and not second.computed and worker.calls == 1
    assert second.result == first.result
    assert read_config(first.folder) == {"steps": 4}


def test_force_starts_over(go, worker):
    folder = go().folder
    (folder / "old").write_text("")
    assert go(force="a command").result.summary["calls"] == 2
    assert not (folder / "old").exists()


def test_what_a_command_began_anew_its_other_processes_keep(go, worker):
    go()
    assert go(force="a command").computed and not go(force="a command").computed
    assert go(force="another").computed and worker.calls == 3


def test_an_interrupted_run_has_no_result_and_goes_on(go, worker, tmp_path):
    worker.stop_at = 2
    with pytest.raises(Interrupted) as error:
        go()
    folder = tmp_path / "count" / "run"
    assert error.value.exit_code == 143 and "count saved" in str(error.value)
    assert (folder / "count").read_text() == "2" and not (folder / "result.json").exists()
    assert read_config(folder) == {"steps": 4}
    worker.stop_at = None
    assert go().result.summary == {"count": 4, "calls": 2}


def test_a_failed_run_is_tried_again(go, worker, tmp_path, monkeypatch):
    def fail(self, config, run):
        raise DataError("no data")

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "__call__", fail)
        with pytest.raises(DataError):
            go()
    assert not (tmp_path / "count" / "run" / "result.json").exists()
    assert go().computed


def test_one_writer(go, worker, tmp_path):
    with artifacts.lock(tmp_path / "count" / "run"):
        with pytest.raises(UsageError, match="is being written by"):
            go(force="a command")
    assert worker.calls == 0


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(DataError, match="is not a run"):
        read_config(tmp_path)


def test_whoever_shares_a_run_waits_for_its_writer(go, tmp_path):
    held = artifacts.lock(tmp_path / "count" / "run")
    held.__enter__()
    release = threading.Timer(0.3, held.__exit__, (None, None, None))
    release.start()
    assert go(wait=True).computed
    release.join()
