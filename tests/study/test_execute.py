"""Cells in processes of their own: the same files, failures apart, interruptions passed on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest

SMALL = """
title = "Small"
tasks = ["easy"]
arms = ["plain", "ours"]
preset = "quick"
seeds = [0]
"""
SLOW = SMALL + "[settings]\nsteps = 400\nseconds_a_step = 0.05\n"
TWELVE = """
title = "Twelve"
tasks = ["easy"]
arms = ["plain", "ours"]
preset = "quick"
seeds = [0, 1, 2]
[grid]
size = [2, 1]
[settings]
steps = 12
seconds_a_step = 0.03
"""


def files_in(folder):
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*.json")}


def test_the_same_files_as_one_by_one(go, tmp_path):
    one_by_one = go(SMALL, folder=tmp_path / "a", root=_made(tmp_path / "r1"))
    apart = go(SMALL, folder=tmp_path / "b", root=_made(tmp_path / "r2"), jobs=2)
    assert apart["summary"] == one_by_one["summary"] and apart["cells"] == one_by_one["cells"]
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b") != {}


def test_a_process_that_dies_is_a_failed_cell(go, capsys):
    text = (
        SMALL.replace('"plain", "ours"', '"plain"') + '[grid]\nends = ["killed", "badly", "well"]'
    )
    report = go(text, jobs=2, reporter=Reporter())
    assert [cell["status"] for cell in report["cells"]] == ["failed", "failed", "ok"]
    assert "its process died" in report["cells"][0]["error"]
    assert report["cells"][1]["error"] == "size 1 ends badly"
    told = capsys.readouterr().err
    assert "cells: 3/3, 2 failed" in told and "running: easy plain ends=killed seed=0" in told


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("reporter", [Reporter(verbosity=1), Reporter(verbosity=-1, traces=True)])
def test_the_traceback_of_a_cell_is_shown_where_it_is_asked_for(go, capsys, jobs, reporter):
    text = SMALL.replace('"plain", "ours"', '"plain"') + '[settings]\nends = "unexpectedly"'
    for asked in (reporter, Reporter()):
        assert go(text, jobs=jobs, reporter=asked)["failed"] == 1
        told = capsys.readouterr().err
        assert ('raise ValueError("two\\nlines")' in told) == (asked is reporter)


def test_what_keeps_a_process_from_its_work_is_told(go, stub):
    report = go(SMALL, jobs=2, prepare=stub.no_device)
    assert {cell["error"] for cell in report["cells"]} == {"no such device"}


def test_a_stop_reaches_the_processes(go, tmp_path, steps_taken):
    class StopOnceBothWork(StopRequest):
        @property
        def requested(self):
            if len({line.split()[1] for line in steps_taken()}) == 2:
                self.signal_number = signal.SIGTERM
            return self.signal_number is not None

    began = time.monotonic()
    with pytest.raises(Interrupted, match="the same command goes on"):
        go(SLOW, jobs=2, stop=StopOnceBothWork())
    assert time.monotonic() - began < 20  # each cell would take 20 s
    taken = steps_taken()
    counts = [int(path.read_text().split()[0]) for path in tmp_path.glob("runs/*/easy/*/count")]
    assert len(counts) == 2 and sum(counts) == len(taken)
    assert list((tmp_path / "cells").rglob("*.json")) == []


def _made(folder):
    folder.mkdir()
    return folder


def steps_in(root):
    log = root / "steps.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def start(study, root, jobs):
    root.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "stub_paper.py"), study, str(root), str(jobs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("jobs, times", [(1, 6), (2, 2)])
def test_killed_at_random_moments_it_ends_with_the_same_numbers(write_study, tmp_path, jobs, times):
    study, dice = write_study(TWELVE), random.Random(jobs)
    for _ in range(times):
        child = start(study, tmp_path / "killed", jobs)
        wanted = steps_in(tmp_path / "killed") + dice.randint(1, 11)
        deadline = time.monotonic() + 60
        while steps_in(tmp_path / "killed") < wanted and time.monotonic() < deadline:
            time.sleep(dice.random() / 100)
        assert child.poll() is None, "it ended before it was killed"
        child.kill()
        child.communicate()
    for root in (tmp_path / "killed", tmp_path / "whole"):
        child = start(study, root, jobs)
        errors = child.communicate(timeout=120)[1]
        assert child.returncode == 0, errors
    cells = files_in(tmp_path / "killed" / "cells")
    assert len(cells) == 12 and cells == files_in(tmp_path / "whole" / "cells")


@pytest.mark.slow
def test_ctrl_c_and_sigterm_end_a_study_and_its_processes(write_study, tmp_path):
    """Ctrl-C reaches the whole process group at once, SIGTERM only the parent."""
    for number, send in ((signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)):
        root = tmp_path / str(number)
        child = start(write_study(SLOW), root, 2)
        deadline = time.monotonic() + 60
        while len(list(root.glob("*/*/*/count"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        send(child.pid, number)
        errors = child.communicate(timeout=30)[1].decode()
        assert child.returncode == 128 + number, errors
        assert "goes on from there" in errors and "Traceback" not in errors
        counts = {path: path.read_text() for path in root.glob("*/*/*/count")}
        time.sleep(0.3)
        assert counts == {path: path.read_text() for path in root.glob("*/*/*/count")}
