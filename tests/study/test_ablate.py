"""A small study end to end: cells run once, failures are recorded, interruptions resume."""

import json

import pytest

from retrieve_rl.errors import Interrupted, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import train
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.ablate import ablate

DESIGN = """
title = "Tiny"
tasks = ["hopper-medium"]
arms = ["bc-experts"]
preset = "smoke"
seeds = [0]
[grid]
"data.num_experts" = [2, 1]
"""
SMALL = ["backbone=mlp", "mlp.width=8", "train.steps=2", "evaluate.episodes=2"]


@pytest.fixture
def go(short_data, tmp_path):
    def go(text=DESIGN, **options):
        study = tmp_path / "tiny.toml"
        study.write_text(text)
        arguments = {
            "task": None,
            "preset": None,
            "seed": None,
            "settings": SMALL,
            "root": tmp_path / "runs",
            "out": None,
            "reporter": Reporter(verbosity=-1),
            "stop": StopRequest(),
            "force": False,
            "dry_run": False,
        }
        return ablate(str(study), **{**arguments, **options})

    return go


def test_two_cells_then_nothing_left_to_do(go, tmp_path, monkeypatch):
    report = go()
    assert [cell.get("error") for cell in report["cells"]] == [None, None]
    numbers = report["summary"]["hopper-medium"]["bc-experts"]
    assert list(numbers) == ["data.num_experts=2", "data.num_experts=1"]
    assert all(cell["steps"] == 2 and cell["episodes"] == 2 for cell in numbers.values())
    path, figure = report["files"]
    assert path == str(tmp_path / "runs" / "reports" / "tiny" / "report.json")
    written = json.loads((tmp_path / "runs" / "reports" / "tiny" / "report.json").read_text())
    assert written["summary"] == json.loads(json.dumps(report["summary"]))
    assert figure.endswith("report.png")

    def fail(config, run):
        raise AssertionError("computed again")

    monkeypatch.setattr(train, "train_policy", fail)
    again = go(out=tmp_path / "elsewhere.json")
    assert again["summary"] == report["summary"] and again["cells"] == report["cells"]
    assert (tmp_path / "elsewhere.png").is_file()
    planned = go(dry_run=True)
    assert [cell["status"] for cell in planned["cells"]] == ["done", "done"]


def test_a_failed_cell_does_not_stop_the_others(go):
    report = go(DESIGN.replace("[2, 1]", "[1000, 1]"))
    assert report["failed"] == 1
    failed, done = report["cells"]
    assert failed["status"] == "failed" and "data.num_experts = 1000" in failed["error"]
    assert done["status"] == "ok"
    assert list(report["summary"]["hopper-medium"]["bc-experts"]) == ["data.num_experts=1"]


def test_nothing_runs_in_a_dry_run_or_with_a_bad_cell(go, tmp_path):
    planned = go(dry_run=True)
    assert [cell["status"] for cell in planned["cells"]] == ["to do", "to do"]
    assert planned["cells"][0]["cell"] == "hopper-medium bc-experts data.num_experts=2 seed=0"
    with pytest.raises(UsageError):
        go(DESIGN.replace("[2, 1]", "[1, 0]"))
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_study_keeps_its_finished_cells(go, tmp_path, monkeypatch):
    real, started = train.train_policy, []

    def stop_in_the_second(config, run):
        started.append(config.data.num_experts)
        if len(started) == 2:
            run.stop.signal_number = 2
            run.stop.raise_if_requested("nothing")
        return real(config, run)

    monkeypatch.setattr(train, "train_policy", stop_in_the_second)
    with pytest.raises(Interrupted):
        go()
    assert not (tmp_path / "runs" / "reports").exists()
    assert go()["failed"] == 0
    assert started == [2, 1, 1]
