"""A study end to end: cells run once, failures are recorded, interruptions resume."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from retrieve_rl.config import validate
from retrieve_rl.errors import DataError, Interrupted, UsageError
from retrieve_rl.report.side_by_side import side_by_side
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.ablate import Asked
from retrieve_rl.study.design import StudyDesign
from retrieve_rl.study.figure import figure_of
from retrieve_rl.study.themes import LIGHT

FAILING = """
title = "Failing"
tasks = ["easy"]
arms = ["plain"]
preset = "quick"
[grid]
ends = ["badly", "unexpectedly", "on a full disk", "well"]
"""


def test_a_report_with_named_numbers(go, tmp_path):
    report = go()
    assert report["failed"] == 0 and report["notes"] == [] and len(report["cells"]) == 12
    row = report["summary"]["easy"]["ours"]["size=2"]
    assert 20.0 < row["low"] < row["mean"] < row["high"] < 30.0
    assert (row["seeds"], row["episodes"], row["steps"], row["parameters"]) == (3, 12, 2, 7)
    assert row["difference"]["less"] == "plain size=2" and 4.0 < row["difference"]["mean"] < 6.0
    assert row["conditions"]["half"]["score"]["mean"] == pytest.approx(row["mean"] / 2)
    path, figure = report["files"]
    assert path == str(tmp_path / "runs" / "reports" / "stub" / "report.json")
    assert json.loads((tmp_path / "runs/reports/stub/report.json").read_text()) == json.loads(
        json.dumps({name: value for name, value in report.items() if name != "files"})
    )
    assert figure.endswith("report.png")


def test_what_is_done_is_not_computed_again(go, steps_taken, tmp_path):
    first = go()
    taken = steps_taken()
    assert len(taken) == 24
    again = go(out=tmp_path / "elsewhere.json")
    assert steps_taken() == taken and again["summary"] == first["summary"]
    assert again["cells"] == first["cells"]
    go(force=True)
    assert len(steps_taken()) == 48


def test_a_named_place_gets_a_copy_of_the_report(go, tmp_path):
    files = list(map(Path, go(out=tmp_path / "elsewhere.json")["files"]))
    place = tmp_path / "runs" / "reports" / "stub" / "report"
    assert files == [
        path.with_suffix(ending)
        for path in (place, tmp_path / "elsewhere")
        for ending in (".json", ".png")
    ]
    assert files[0].read_bytes() == files[2].read_bytes()
    assert files[1].read_bytes() == files[3].read_bytes()


def test_nothing_is_asked_of_a_cluster_where_no_cell_is_missing(go):
    def no_cluster(*arguments, **options):
        raise AssertionError("there was nothing to compute")

    first = go()
    assert go(run_cells=no_cluster)["summary"] == first["summary"]


def test_what_is_given_as_a_file_is_called_by_its_stem(go, dry):
    text = """
title = "Files"
tasks = ["easy"]
arms = ["own/ours.toml"]
preset = "/my/quick.toml"
reference = "/elsewhere/plain.toml"
judged = "own/ours.toml"
[grid]
size = [2, 1]
[[also]]
arms = ["/elsewhere/plain.toml"]
grid = { size = [2, 1] }
"""
    report = go(text)
    row = report["summary"]["easy"]["ours"]["size=2"]
    assert row["difference"]["less"] == "plain size=2" and "verdict" in row["against"]["plain"]
    design = validate(StudyDesign, report["design"], source="report")
    assert side_by_side(report["summary"], design).columns[2:] == ("`ours`", "`plain`")
    drawn = figure_of(report["summary"], design, LIGHT).legends[0].get_texts()
    assert [label.get_text() for label in drawn] == ["ours", "plain"]
    planned = dry(text, settings=["steps=3"])
    assert planned["expected_from"] == 4 and planned["expected_seconds"] == 4 * (1.0 + 3 * 30.0)


def test_no_report_takes_the_place_of_a_larger_one():
    names = {
        Asked("a/memory-size.toml").report_name,
        Asked("memory-size", preset="smoke").report_name,
        Asked("memory-size", task="tasks/hopper-medium.toml", seed=0).report_name,
        Asked("memory-size", preset="my/short.toml").report_name,
        Asked("memory-size", settings=["train.steps=3"]).report_name,
        Asked("memory-size", settings=["train.steps=4"]).report_name,
    }
    assert (
        len(names) == 6
        and {
            "memory-size",
            "memory-size-smoke",
            "memory-size-short",
            "memory-size-hopper-medium-s0",
        }
        <= names
    )


def test_a_report_is_json(go, steps_taken, tmp_path):
    with pytest.raises(UsageError, match="expected a name in .json"):
        go(out=tmp_path / "figure.png")
    assert steps_taken() == []


def test_an_arm_without_a_training_tells_of_time_too(go, dry):
    """As nearest-expert: it has no steps."""
    assert go(settings=["steps=0"])["failed"] == 0
    assert dry(settings=["steps=0", "folder=x"])["done"] == 12
    assert dry()["expected_seconds"] == 12 * 61.0


def test_a_file_of_another_program_tells_nothing_of_time(go, dry, tmp_path):
    foreign = tmp_path / "cells" / "quick" / "other" / "z-s0-0.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"schema_version": 99}')
    assert go()["failed"] == 0 and dry()["expected_from"] == 12


def test_a_committed_cell_counts_on_another_machine(go, steps_taken, tmp_path):
    """The folder of cells alone is enough: no runs, other paths."""
    first = go()
    taken = len(steps_taken())
    other = tmp_path / "other"
    other.mkdir()
    report = go(root=other, settings=['folder="/elsewhere"'])
    assert report["summary"] == first["summary"] and len(steps_taken()) == taken
    assert list(other.glob("train-policy/*")) == []


def test_a_run_that_is_done_becomes_a_cell(go, steps_taken, tmp_path):
    go()
    taken = len(steps_taken())
    go(folder=tmp_path / "cells-2")
    assert len(steps_taken()) == taken
    assert len(list((tmp_path / "cells-2").glob("quick/easy/*.json"))) == 12


def test_a_failed_cell_does_not_stop_the_others(go):
    report = go(FAILING)
    assert report["failed"] == 3
    badly, unexpectedly, full, well = report["cells"]
    assert badly["error"] == "size 1 ends badly" and badly["status"] == "failed"
    assert unexpectedly["error"] == "ValueError: two lines"
    assert "free space and run again" in full["error"]
    assert well["status"] == "ok"
    assert list(report["summary"]["easy"]["plain"]) == ["ends=well"]


def test_a_partial_result_is_a_failed_cell(go, tmp_path):
    study = FAILING.replace('"badly", "unexpectedly", "on a full disk"', '"partly"')
    for _ in range(2):
        report = go(study)
        partly, well = report["cells"]
        assert (partly["status"], well["status"], report["failed"]) == ("failed", "ok", 1)
        assert "is partial: its summary says why" in partly["error"]
        assert list(report["summary"]["easy"]["plain"]) == ["ends=well"]
        assert len(list((tmp_path / "cells").glob("quick/easy/*.json"))) == 1


def test_a_failed_cell_is_tried_again(go):
    assert go(FAILING)["failed"] == 3
    assert go(FAILING.replace('"badly", ', ""))["failed"] == 2


def test_cells_that_are_the_same_are_computed_once(go, steps_taken):
    twice = """
title = "Twice"
tasks = ["easy"]
arms = ["plain"]
preset = "quick"
[grid]
size = [1]
[[also]]
arms = ["plain"]
"""
    report = go(twice)
    assert len(steps_taken()) == 2 and len(report["cells"]) == 2
    rows = report["summary"]["easy"]["plain"]
    assert list(rows) == ["size=1", "as the arm"]
    assert rows["size=1"]["mean"] == rows["as the arm"]["mean"]


def test_an_interrupted_study_keeps_its_finished_cells(go, steps_taken, tmp_path):
    class StopAtStep(StopRequest):
        """Is requested once the seventh step is taken, in the middle of the fourth cell."""

        @property
        def requested(self):
            if len(steps_taken()) >= 7:
                self.signal_number = 15
            return self.signal_number is not None

        def raise_if_requested(self, saved):
            if self.requested:
                raise Interrupted(f"stopped; {saved}", 15)

    with pytest.raises(Interrupted, match="the count is saved"):
        go(stop=StopAtStep())
    assert not (tmp_path / "runs" / "reports").exists()
    assert len(list((tmp_path / "cells").glob("quick/easy/*.json"))) == 3
    assert go()["failed"] == 0
    assert len(steps_taken()) == 24  # none twice


def test_a_plan_writes_nothing_and_knows_the_time_where_it_can(go, dry, tmp_path):
    planned = dry()
    assert not (tmp_path / "cells").exists() and not (tmp_path / "runs").exists()
    assert (planned["done"], planned["to_do"]) == (0, 12)
    assert planned["expected_seconds"] is None and planned["expected_from"] == 0
    assert planned["cells"][0]["cell"] == "easy plain size=2 seed=0"
    assert planned["cells"][0]["status"] == "to do"
    go()
    more = dry(settings=["steps=3"])
    assert (more["done"], more["to_do"], more["expected_from"]) == (0, 12, 12)
    assert more["expected_seconds"] == 12 * (1.0 + 3 * 30.0)  # 60 s were two steps
    assert dry(settings=["ends=badly"])["expected_seconds"] is None  # Another kind of cell.
    finished = dry()
    assert (finished["done"], finished["expected_seconds"]) == (12, 0.0)
    assert {cell["status"] for cell in finished["cells"]} == {"done"}
    again = dry(force=True)
    assert (again["done"], again["to_do"], again["expected_seconds"]) == (0, 12, 12 * 61.0)
    assert {cell["status"] for cell in again["cells"]} == {"to do"}


def test_cells_of_the_same_platform_tell_of_time_where_there_are_any(go, dry, tmp_path):
    go()
    for path in sorted((tmp_path / "cells").glob("quick/easy/*.json"))[:5]:
        text = path.read_text().replace('"platform":"cpu"', '"kind":"GPU","platform":"gpu"')
        path.write_text(text.replace('"train":60.0', '"train":6.0'))

    def planned(platform):
        found = dry(settings=["steps=3"], platform=platform)
        return found["expected_from"], found["expected_on"], found["expected_seconds"]

    assert planned("gpu") == (5, ["GPU"], 12 * (1.0 + 3 * 3.0))
    assert planned("cpu") == (7, ["unknown"], 12 * (1.0 + 3 * 30.0))
    assert planned("tpu")[0] == 12


def test_nothing_runs_where_a_cell_cannot_be_configured(go, steps_taken):
    with pytest.raises(UsageError, match="size"):
        go(FAILING.replace("[grid]", '[grid]\nsize = [1, "big"]'))
    assert steps_taken() == []


def test_results_of_two_versions_are_refused(go, stub, tmp_path, monkeypatch):
    """A file that claims the key of today and another version of the results."""
    go()
    path = next((tmp_path / "cells").glob("quick/easy/*.json"))
    path.write_text(path.read_text().replace('"results_version": 1,', '"results_version": 2,'))
    with pytest.raises(DataError, match="several versions of stub.*1: .*; 2: "):
        go()


def test_a_new_version_has_other_cells(go, dry, stub, monkeypatch):
    go()
    monkeypatch.setattr(stub, "PAPER", replace(stub.PAPER, results_version=2))
    assert dry()["done"] == 0


def test_data_that_differs_in_its_bytes_is_told(go, tmp_path):
    go()
    path = next((tmp_path / "cells").glob("quick/easy/*.json"))
    path.write_text(path.read_text().replace('{"stub data":"ab"}', '{"stub data":"cd"}'))
    (note,) = go()["notes"]
    assert "stub data differs in its bytes between cells" in note


def test_the_report_names_the_command_whole(go):
    report = go(settings=["steps=3"])
    assert report["asked"][1:] == ["--set", "steps=3"]
    asked = Asked("mine", preset="smoke", seed=2, settings=["a.b=1", "c=x y"])
    assert asked.words == [
        "mine",
        "--preset",
        "smoke",
        "--seed",
        "2",
        "--set",
        "a.b=1",
        "--set",
        "c=x y",
    ]
