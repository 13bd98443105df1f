"""Reports from finished results: whole, the same twice, and clear about what is not there."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.report.curves import curves_of_rows, mean_curve
from retrieve_rl.report.write import write_report
from retrieve_rl.results import RunResult, read_result, write_result
from retrieve_rl.training.curve import read_metrics


def numbers(mean, **more):
    interval = {"mean": mean, "low": mean - 1, "high": mean + 1, "interval": "t over seed means"}
    return {
        **interval,
        "interquartile_mean": {**interval, "low": None, "high": None},
        "episodes": 40,
        "seeds": 2,
        "measure": "return_raw",
        "steps": 10,
        "parameters": 1234,
        "train_seconds": 3.4,
        "conditions": {},
        **more,
    }


def cell(arm, seed, **changes):
    return {
        "run": f"train-policy/easy/{arm}-s{seed}",
        "task": "easy",
        "arm": arm,
        "settings": {},
        "seed": seed,
        "key": "k",
        "status": "ok",
        "seconds": {"train": 60.0},
        "versions": {"jax": "1.2"},
        "device": {"kind": "cpu"},
        **changes,
    }


@pytest.fixture
def study():
    design = {"title": "Two <arms>", "tasks": ["easy"], "arms": ["a", "b"], "seeds": [0, 1]}
    conditions = {"random": {"error": {"mean": 0.5, "low": None, "high": None}}}
    difference = {"mean": 2.0, "low": 1.0, "high": 3.0, "less": "a"}
    return {
        "schema_version": 2,
        "name": "two-arms",
        "title": "Two <arms>",
        "preset": "quick",
        "design": {**design, "preset": "quick"},
        "cells": [
            *(cell(arm, seed) for arm in "ab" for seed in (0, 1)),
            cell("c", 0, status="failed", error="no | luck"),
        ],
        "summary": {
            "easy": {
                "a": numbers(1.0),
                "b": numbers(3.0, difference=difference, conditions=conditions),
            }
        },
        "over_tasks": {},
        "notes": ["a note"],
        "failed": 1,
    }


@pytest.fixture
def written(study, tmp_path):
    """The files of a report of the study, one of whose runs left a learning curve."""
    runs = tmp_path / "runs"
    (runs / "train-policy/easy/a-s0").mkdir(parents=True)
    log = [{"step": step, "loss": 1 / step, "gradient_norm": 1.0} for step in (1, 2, 3)]
    text = "".join(json.dumps(line) + "\n" for line in log)
    (runs / "train-policy/easy/a-s0/metrics.jsonl").write_text(text)
    (tmp_path / "study.json").write_text(json.dumps(study))
    return write_report([str(tmp_path / "study.json")], runs, tmp_path / "out")


class Balanced(HTMLParser):
    """Fails at a tag that is not closed."""

    ALONE = {"meta", "img", "source", "!doctype"}

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.ALONE:
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "srcset", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_of_a_study_needs_no_other_file(written):
    text = written[1].read_text()
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert parser.sources and all(
        source.startswith("data:image/svg+xml;base64,") for source in parser.sources
    )
    assert "prefers-color-scheme: dark" in text and "Two &lt;arms&gt;" in text
    assert "<script" not in text and "http" not in text.replace("http://www.w3.org", "")


def test_markdown_says_what_the_json_says(written):
    text = written[0].read_text()
    assert (
        "| easy | b | return_raw | 3 [2, 4] | +2 [+1, +3] to a | 3 | 2 | 40 | 10 | 1234 | 3 |"
        in text
    )
    assert "| easy b | random | error | 0.5 |" in text
    assert r"no \| luck" in text and "a note" in text
    assert "rrl ablate two-arms --preset quick" in text
    assert "4 cells, 4 min of computing" in text and "| jax | 1.2 | 4 |" in text
    for link in re.findall(r"\]\((.*?)\)", text):
        assert (written[0].parent / link).exists(), link


def test_a_row_has_one_curve_and_a_task_a_picture_of_its_own(study, tmp_path):
    runs = tmp_path / "runs"
    study["cells"] = [
        cell("a", seed, task=task, settings={"k": k}, run=f"{task}-{k}-{seed}")
        for task in ("easy", "hard")
        for k in range(9)
        for seed in (0, 1)
    ]
    for one in study["cells"]:
        (runs / one["run"]).mkdir(parents=True)
        log = [
            {"step": step, "loss": 10.0 * one["seed"] + step} for step in (1, 2, 3 + one["seed"])
        ]
        text = "".join(json.dumps(line) + "\n" for line in log)
        (runs / one["run"] / "metrics.jsonl").write_text(text)
    rows = {f"a k={k}": [runs / f"easy-{k}-{seed}" for seed in (0, 1)] for k in range(9)}
    drawn = curves_of_rows(rows)
    assert drawn.note == "not drawn, to keep lines apart: a k=2, a k=6"
    assert read_metrics(rows["a k=0"][0])[0] == {"step": 1, "loss": 1.0}
    assert mean_curve([read_metrics(folder) for folder in rows["a k=0"]], "loss") == [
        (1, 6.0),  # of 1 and 11
        (2, 7.0),
    ]
    (tmp_path / "study.json").write_text(json.dumps(study))
    _, _, *pictures = write_report([str(tmp_path / "study.json")], runs, tmp_path / "out")
    assert {"curve-easy-loss.png", "curve-hard-loss.png"} <= {path.name for path in pictures}
    assert "hard: not drawn" in (tmp_path / "out/report.md").read_text()


def test_a_curve_needs_a_step_that_all_runs_logged(tmp_path):
    for name, steps in (("one", (1, 2)), ("other", (3,))):
        (tmp_path / name).mkdir()
        lines = [json.dumps({"step": step, "loss": 1.0, name: 2.0}) for step in steps]
        (tmp_path / name / "metrics.jsonl").write_text("\n".join(lines))
    drawn = curves_of_rows({"a": [tmp_path / "one", tmp_path / "other"]})
    assert [picture.name for picture in drawn.pictures] == ["curve-one"]


def test_a_training_of_several_cells_counts_once(study, tmp_path):
    seconds = {"train": 60.0, "evaluate": 30.0}
    study["cells"] = [cell("a", 0, seconds=seconds), cell("a", 0, seconds=seconds)]
    (tmp_path / "study.json").write_text(json.dumps(study))
    write_report([str(tmp_path / "study.json")], tmp_path, tmp_path / "out")
    assert "2 cells, 2 min of computing" in (tmp_path / "out/report.md").read_text()


def test_pictures_are_whole_and_named(written):
    names = {path.name for path in written[2:]}
    assert names == {"figure.png", "figure.svg", "curve-loss.png", "curve-loss.svg"}
    for path in written[2:]:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


def test_the_same_results_give_the_same_bytes(study, tmp_path, written):
    before = {path: path.read_bytes() for path in written}
    write_report([str(tmp_path / "study.json")], tmp_path / "runs", tmp_path / "out")
    assert {path: path.read_bytes() for path in written} == before


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs/evaluate/go9/retrieval-s0"
    folder.mkdir(parents=True)
    table = {"mean": 0.5, "low": 0.4, "high": 0.6}
    row = dict.fromkeys(("top1", "cross_entropy", "value_error"), table)
    result = RunResult(
        command="evaluate",
        status="ok",
        task="go9",
        arm="retrieval",
        preset="smoke",
        seed=0,
        results_version=1,
        config_hash="x",
        config={"paper": "go"},
        inputs={},
        retrieval={"conditions": {"random neighbors": {"by_step": [row]}}, "sha256": "abc"},
        outcomes=[{"game": str(number), "hits": number} for number in range(50)],
        summary={"measure": "top1", **table, "top1": table, "positions": 7},
    )
    write_result(folder, result)
    return folder


def test_a_page_of_a_run(run, tmp_path):
    boards = run / "neighbors"
    boards.mkdir()
    (boards / "row-3.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (boards / "row-3.png").write_bytes(b"\x89PNG")
    markdown, html, *pictures = write_report([str(run)], tmp_path, tmp_path / "out")
    text = markdown.read_text()
    assert text.startswith("# evaluate: go9, retrieval, smoke, seed 0")
    assert "| random neighbors | top1 | 0.5 [0.4, 0.6] |" in text
    assert "| top1 | 0.5 [0.4, 0.6] |" in text and "10 more stand in the result." in text
    assert "rrl evaluate --task go9 --preset smoke --arm retrieval --seed 0" in text
    assert [path.name for path in pictures] == ["neighbors-row-3.png", "neighbors-row-3.svg"]
    Balanced().feed(html.read_text())


def test_the_command_of_an_index_has_no_arm(run, tmp_path):
    write_result(run, read_result(run).model_copy(update={"command": "build-index"}))
    text = write_report([str(run)], tmp_path, tmp_path / "out")[0].read_text()
    assert "rrl build-index --task go9 --preset smoke --seed 0" in text
    assert "leaves out --set" in text


def test_where_only_a_part_is_there_its_name_is_told(study, tmp_path):
    part = tmp_path / "reports/two-arms-smoke"
    part.mkdir(parents=True)
    (part / "report.json").write_text(json.dumps(study))
    with pytest.raises(DataError, match="is called two-arms; there are two-arms-smoke"):
        write_report(["two-arms"], tmp_path, tmp_path / "out")
    assert write_report(["two-arms-smoke"], tmp_path, tmp_path / "out")


def test_several_make_one_page(run, study, tmp_path):
    reports = tmp_path / "reports/two-arms"
    reports.mkdir(parents=True)
    (reports / "report.json").write_text(json.dumps(study))
    markdown, html, *pictures = write_report(["two-arms", str(run)], tmp_path, tmp_path / "out")
    assert [line for line in markdown.read_text().splitlines() if line.startswith("# ")] == [
        "# Two <arms>",
        "# evaluate: go9, retrieval, smoke, seed 0",
    ]
    assert 'href="#page-1"' in html.read_text()
    assert {path.parent.name for path in pictures} == {"1"}


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "cannot be read"),
        ("[]", "holds a list, expected a JSON object"),
        ("{}", "is no report of a study: it lacks schema_version"),
        ('{"command": "evaluate", "schema_version": 9}', "schema version 9"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=message):
        write_report([str(tmp_path / "x.json")], tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_version_and_another_design_are_refused(study, tmp_path):
    for change, message in (
        ({"schema_version": 99}, "schema version 99.*rrl ablate two-arms"),
        ({"design": {"title": "x"}}, "arms"),
    ):
        (tmp_path / "x.json").write_text(json.dumps({**study, **change}))
        with pytest.raises(DataError, match=message):
            write_report([str(tmp_path / "x.json")], tmp_path, tmp_path / "out")


def test_a_committed_study_is_found_by_its_name(tmp_path):
    written = write_report(["go-agent"], tmp_path / "runs", tmp_path / "page")
    assert "Agents of Go" in written[0].read_text()


def test_an_unfinished_study_names_its_command(tmp_path):
    with pytest.raises(DataError, match="rrl ablate first-look makes it"):
        write_report(["first-look"], tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="is called nonsense$"):
        write_report(["nonsense"], tmp_path, tmp_path / "out")
