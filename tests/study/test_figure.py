"""Summaries of hand-made records, and their figures."""

import pytest

from retrieve_rl.study.design import StudyDesign
from retrieve_rl.study.report import draw, summarize


def record(returns, *, arm="a", seed=0, status="ok", settings=None, task="t"):
    measure = "normalized_score_100"
    return {
        "task": task,
        "arm": arm,
        "seed": seed,
        "settings": settings or {},
        "status": status,
        "summary": {"measure": measure, "mean": -1.0},
        "outcomes": [{measure: value, "return_raw": 10 * value} for value in returns],
        "training": {"steps": 5, "parameters": 7},
        "timings": {"train_seconds": 2.0 + seed},
    }


def design(**changes):
    fields = {"title": "T", "tasks": ["t"], "arms": ["a", "b"], "preset": "smoke", "seeds": [0]}
    return StudyDesign(**{**fields, **changes})


def test_numbers_by_hand():
    summary = summarize([record([1.0, 3.0]), record([6.0, 6.0], seed=1), record([5.0], arm="b")])
    found = summary["t"]["a"]
    assert found["mean"] == 4.0 and found["low"] < 4.0 < found["high"]
    assert (found["episodes"], found["seeds"]) == (4, 2)
    assert (found["steps"], found["parameters"], found["train_seconds"]) == (5, 7, 2.5)
    assert found["measure"] == "normalized_score_100"
    other = summary["t"]["b"]
    assert (other["mean"], other["low"], other["high"], other["episodes"]) == (5.0, 5.0, 5.0, 1)


def test_the_grid_is_a_level_of_its_own():
    records = [record([float(n)], settings={"data.num_experts": n}) for n in (60, 1)]
    summary = summarize(records)
    assert list(summary["t"]["a"]) == ["data.num_experts=60", "data.num_experts=1"]
    assert summary["t"]["a"]["data.num_experts=60"]["mean"] == 60.0


def test_failed_cells_do_not_enter():
    failed = {"task": "t", "arm": "b", "settings": {}, "status": "failed", "error": "no"}
    summary = summarize([record([1.0]), failed])
    assert list(summary["t"]) == ["a"]
    assert summarize([failed]) == {} == summarize([])


BARS = [record([1.0, 2.0]), record([3.0], arm="b")]
LINES = [record([float(n)], settings={"k": n}, arm=arm) for n in (60, 1) for arm in "ab"]
TWO_KEYS = [record([1.0], settings={"k": n, "l": "x"}) for n in (1, 2)]
TEXT = [record([1.0], settings={"k": text}) for text in ("x", "y")]


@pytest.mark.parametrize(
    "records, changes",
    [
        (BARS, {}),
        (BARS + [record([1.0], task="u")], {"tasks": ["t", "u"]}),
        (LINES, {"grid": {"k": [60, 1]}}),
        (LINES[:1], {"grid": {"k": [60, 1]}}),
        (TEXT, {"grid": {"k": ["x", "y"]}}),
        (TWO_KEYS, {"grid": {"k": [1, 2], "l": ["x"]}}),
        ([], {}),
        ([], {"grid": {"k": [60, 1]}}),
    ],
)
def test_a_figure_is_written_whatever_is_there(tmp_path, records, changes):
    path = tmp_path / "figure.png"
    draw(summarize(records), design(**changes), path)
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000


def test_the_same_numbers_draw_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw(summarize(BARS), design(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
