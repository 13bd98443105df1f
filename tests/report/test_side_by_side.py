"""The wide table says of each row and arm what the study's summary says, and marks tuned tasks."""

import json

from retrieve_rl.documents import to_json
from retrieve_rl.report.design_of import design_of
from retrieve_rl.report.markdown import table_in_markdown
from retrieve_rl.report.side_by_side import side_by_side, verdicts_side_by_side
from retrieve_rl.study.design import StudyDesign


def design(**changes):
    values = {
        "title": "T",
        "tasks": ["easy", "hard"],
        "arms": ["a", "b"],
        "grid": {"data.n": [1, 60]},
        "also": [{"arms": ["fixed"]}, {"arms": ["b"], "grid": {"c": [3]}}],
        "tuned_on": ["hard"],
    }
    return StudyDesign(**{**values, **changes})


def numbers(mean, half=1.0):
    return {"mean": mean, "low": mean - half, "high": mean + half}


def test_rows_are_of_the_own_grid_and_columns_arms():
    summary = {
        "easy": {
            "a": {"data.n=1": numbers(36.24), "data.n=60": numbers(110.4)},
            "b": {"data.n=1": numbers(0.4, 0.01), "c=3": numbers(7.0)},
            "fixed": numbers(-8.0, 0.5),
        },
        "hard": {"a": {"data.n=60": numbers(1234.5)}},
    }
    told = table_in_markdown(side_by_side(summary, design()))
    assert told.splitlines() == [
        "| task | data.n | `a` | `b` | `fixed` |",
        "| --- | ---: | --- | --- | --- |",
        "| easy | 1 | 36.2 (35.2 to 37.2) | 0.400 (0.390 to 0.410) | -8.00 (-8.50 to -7.50) |",
        "| easy | 60 | 110 (109 to 111) | - | -8.00 (-8.50 to -7.50) |",
        "| hard * | 60 | 1234 (1234 to 1236) | - | - |",
        "",
        "Settings were chosen on the tasks marked *, with other seeds. Rows of the next table"
        " that vary something else: 1.",
    ]


def test_an_arm_beside_a_grid_of_its_own_has_one_row():
    own = design(grid={}, also=[{"arms": ["a"], "grid": {"c": [3]}}], tuned_on=[])
    summary = {"easy": {"a": {"as the arm": numbers(1.0), "c=3": numbers(2.0)}, "b": numbers(3.0)}}
    assert side_by_side(summary, own).rows == [
        ("easy", "1.00 (0.00 to 2.00)", "3.00 (2.00 to 4.00)")
    ]


def test_an_interval_that_is_unknown_is_not_shown():
    summary = {"easy": {"a": {"data.n=1": {"mean": 5.0, "low": None, "high": None}}, "b": {}}}
    assert side_by_side(summary, design()).rows == [("easy", 1, "5.00", None)]


def test_one_arm_makes_no_table():
    summary = {"easy": {"a": {"data.n=1": numbers(1.0)}}}
    assert side_by_side(summary, design()) is None


def test_verdicts_stand_in_the_column_of_the_other_arm():
    won = {**numbers(20.0, 5.0), "verdict": "won"}
    open_ = {**numbers(-2.0, 9.0), "verdict": "undecided"}
    judged = {"data.n=1": {**numbers(30.0), "against": {"b": won, "fixed": open_}}}
    summary = {"easy": {"a": {**judged, "data.n=60": numbers(1.0)}, "fixed": numbers(32.0)}}
    told = verdicts_side_by_side(summary, design(judged="a"))
    assert told.columns == ("task", "`a` with", "`b`", "`fixed`")
    assert told.rows == [
        ("easy", "data.n=1", "+20.0 (15.0 to 25.0) won", "-2.00 (-11.0 to 7.00) undecided")
    ]
    assert verdicts_side_by_side(summary, design()) is None


def test_three_digits_at_their_border():
    summary = {"easy": {"a": {"data.n=1": numbers(99.96, 0.02)}, "b": {"data.n=1": numbers(0.0)}}}
    (row,) = side_by_side(summary, design()).rows
    assert row[2:4] == ("100 (99.9 to 100)", "0.00 (-1.00 to 1.00)")


def test_a_design_read_from_a_file_finds_its_rows():
    """A result file sorts its keys: `c` before `data.n` in the grid, and behind it in the rows."""
    own = design(
        grid={"data.n": [1], "c": [3, 4]}, also=[{"arms": ["fixed"], "grid": {"data.n": [1]}}]
    )
    summary = {
        "easy": {
            "a": {"data.n=1 c=3": numbers(5.0), "data.n=1 c=4": numbers(6.0)},
            "b": {"data.n=1 c=3": numbers(7.0)},
            "fixed": {"data.n=1": numbers(8.0)},
        }
    }
    report = json.loads(to_json({"design": own.model_dump(), "summary": summary}))
    assert list(report["design"]["grid"]) == ["c", "data.n"]
    table = side_by_side(report["summary"], design_of(report, "study.json"))
    assert table.columns[:3] == ("task", "data.n", "c")
    assert [[row[1], row[2], *(cell and cell[:4] for cell in row[3:])] for row in table.rows] == [
        [1, 3, "5.00", "7.00", "8.00"],
        [1, 4, "6.00", None, "8.00"],
    ]
