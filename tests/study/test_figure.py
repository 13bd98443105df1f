"""Figures of hand-made summaries."""

import pytest

from retrieve_rl.study.design import Block, StudyDesign
from retrieve_rl.study.figure import draw, figure_of
from retrieve_rl.study.intervals import EPISODES_ONLY, T_OVER_SEEDS
from retrieve_rl.study.themes import LIGHT, drawn_in


def numbers(mean):
    ends = {"low": mean - 1.0, "high": mean + 0.5}
    return {"mean": mean, **ends, "measure": "return_raw", "seeds": 1, "interval": EPISODES_ONLY}


def design(**changes):
    fields = {"title": "T", "tasks": ["t"], "arms": ["a", "b"], "preset": "smoke", "seeds": [0]}
    return StudyDesign(**{**fields, **changes})


BARS = {"t": {"a": numbers(1.0), "b": numbers(3.0)}}
LINES = {"t": {arm: {f"k={n}": numbers(float(n)) for n in (60, 1)} for arm in "ab"}}
LEVEL = {"t": {"a": LINES["t"]["a"], "base": numbers(3.0)}}
TEXT = {"t": {"a": {"k=x": numbers(1.0), "k=y": numbers(2.0)}}}
LISTS = {"t": {"a": {"o.k=[1.0, 0.5]": numbers(1.0), "o.k=[1.0]": numbers(2.0)}}}
TWO_KEYS = {"t": {"a": {"k=1 l=x": numbers(1.0), "k=2 l=x": numbers(1.0)}}}
ALSO = {"t": {"a": {"k=1": numbers(1.0), "l=2": numbers(1.0), "as the arm": numbers(2.0)}}}


@pytest.mark.parametrize(
    "summary, changes",
    [
        (BARS, {}),
        ({**BARS, "u": {"a": numbers(1.0)}}, {"tasks": ["t", "u"]}),
        (LINES, {"grid": {"k": [60, 1]}}),
        ({"t": {"a": {"k=1": numbers(1.0)}}}, {"grid": {"k": [60, 1]}}),
        (LEVEL, {"grid": {"k": [60, 1]}, "also": [Block(arms=["base"])]}),
        (TEXT, {"grid": {"k": ["x", "y"]}}),
        (LISTS, {"grid": {"o.k": [[1.0, 0.5], [1.0]]}}),
        (TWO_KEYS, {"grid": {"k": [1, 2], "l": ["x"]}}),
        (ALSO, {"grid": {"k": [1]}, "also": [Block(arms=["a"], grid={"l": [2]})]}),
        ({}, {}),
        ({}, {"grid": {"k": [60, 1]}}),
    ],
)
def test_a_figure_is_written_whatever_is_there(tmp_path, summary, changes):
    path = tmp_path / "figure.png"
    draw(summary, design(**changes), path)
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000


def test_a_row_that_a_task_lacks_leaves_its_place_free():
    summary = {"t": BARS["t"], "u": {"b": numbers(3.0)}}
    with drawn_in(LIGHT):
        figure = figure_of(summary, design(tasks=["t", "u"]), LIGHT)
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b"]
    middles = [
        [bar.get_y() + bar.get_height() / 2 for bar in axis.patches] for axis in (first, second)
    ]
    assert middles == [[0.0, 1.0], [1.0]]


def test_an_arm_has_one_color_in_all_panels():
    summary = {"t": LINES["t"], "u": {"b": LINES["t"]["b"]}}
    with drawn_in(LIGHT):
        figure = figure_of(summary, design(tasks=["t", "u"], grid={"k": [60, 1]}), LIGHT)
    colors = [[drawn.lines[0].get_color() for drawn in axis.containers] for axis in figure.axes]
    assert len(set(colors[0])) == 2 and colors[1] == colors[0][1:]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_a_line_for_each_value_of_the_other_keys():
    """As in Humphreys et al. 2022, Figure 10: simulations along, neighbors across."""
    rows = {f"x.n={n} s={s}": numbers(float(n * s)) for n in (2, 10) for s in (25, 50)}
    base = {f"s={s}": numbers(float(s)) for s in (25, 50)}
    grid = {"x.n": [2, 10], "s": [25, 50]}
    also = [Block(arms=["b"], grid={"s": [25, 50]})]
    with drawn_in(LIGHT):
        figure = figure_of(
            {"t": {"a": rows, "b": base}},
            design(arms=["a"], grid=grid, also=also, reference="b"),
            LIGHT,
        )
    (axis,) = figure.axes
    lines = [drawn.lines[0].get_xydata().tolist() for drawn in axis.containers]
    assert lines == [[[25, 50], [50, 100]], [[25, 250], [50, 500]], [[25, 25], [50, 50]]]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a n=2", "a n=10", "b"]


def test_a_line_over_the_numbers_of_conditions():
    conditions = {f"{n} of it": {"return_raw": numbers(n)} for n in (1.0, 0.5)}
    conditions["as trained"] = {"return_raw": numbers(9.0)}
    summary = {
        "t": {
            "a": {**numbers(1.0), "conditions": conditions},
            "b": {**numbers(3.0), "conditions": {}},
        }
    }
    with drawn_in(LIGHT):
        figure = figure_of(summary, design(curve="of it"), LIGHT)
    (axis,) = figure.axes
    (line,) = axis.containers
    assert line.lines[0].get_xydata().tolist() == [[0.5, 0.5], [1.0, 1.0]]
    assert axis.get_xlabel() == "of it" and [
        t.get_text() for t in figure.legends[0].get_texts()
    ] == ["b", "a"]


def test_conditions_without_a_number_are_not_on_the_line():
    names = ("no neighbors", "random neighbors", "10 neighbors", "2 neighbors")
    conditions = {name: {"return_raw": numbers(1.0)} for name in names}
    summary = {"t": {"a": {**numbers(1.0), "conditions": conditions}}}
    with drawn_in(LIGHT):
        (axis,) = figure_of(summary, design(curve="neighbors"), LIGHT).axes
    (line,) = axis.containers
    assert line.lines[0].get_xdata().tolist() == [2.0, 10.0]


@pytest.mark.parametrize("values", [["x", "y"], [[1.0, 0.5], [1.0]], [True, False]])
def test_what_is_no_number_has_bars(values):
    rows = {f"o.k={value}": numbers(float(place)) for place, value in enumerate(values)}
    with drawn_in(LIGHT):
        figure = figure_of({"t": {"a": rows}}, design(grid={"o.k": values}), LIGHT)
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == [0.0, 1.0]
    assert [t.get_text() for t in axis.get_yticklabels()] == [f"a k={value}" for value in values]


def test_rows_that_differ_in_the_sections_of_their_keys_alone_are_all_drawn():
    rows = {name: numbers(float(n)) for n, name in enumerate(("x.k=1", "y.k=1", "x.l=1"))}
    also = [Block(arms=["a"], grid={key: [1]}) for key in ("y.k", "x.l")]
    with drawn_in(LIGHT):
        (axis,) = figure_of({"t": {"a": rows}}, design(grid={"x.k": [1]}, also=also), LIGHT).axes
    assert len(axis.patches) == 3
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["a x.k=1", "a y.k=1", "a l=1"]


def test_the_row_as_the_arm_is_a_level_beside_its_line():
    rows = {"k=1": numbers(1.0), "k=2": numbers(2.0), "as the arm": numbers(3.0)}
    study = design(grid={"k": [1, 2]}, also=[Block(arms=["a"])])
    with drawn_in(LIGHT):
        figure = figure_of({"t": {"a": rows}}, study, LIGHT)
    (axis,) = figure.axes
    (line,) = axis.containers
    assert line.lines[0].get_xydata().tolist() == [[1, 1], [2, 2]]
    assert [3.0, 3.0] in [list(drawn.get_ydata()) for drawn in axis.lines]
    names = sorted(text.get_text() for text in figure.legends[0].get_texts())
    assert names == ["a", "a as the arm"]


def test_the_title_says_what_finished_and_what_the_intervals_are_over():
    def title(**changes):
        summary = {"t": {"a": {**numbers(1.0), **changes}, "b": numbers(3.0)}}
        with drawn_in(LIGHT):
            figure = figure_of(summary, design(seeds=[0, 1, 2, 3]), LIGHT)
        return figure.get_suptitle().splitlines()[1]

    assert title() == "smoke, 1 seed, 95% intervals (evaluation episodes only)"
    assert title(seeds=3, interval=T_OVER_SEEDS) == "smoke, 1 to 3 seeds, 95% intervals"


def test_no_label_of_the_legend_is_cut_off():
    name = "a long name of an arm"
    grid, arms = {"a.long_key": [1, 2]}, [name, "another " + name]
    lines = {arm: {f"a.long_key={n}": numbers(float(n)) for n in (1, 2)} for arm in arms}
    with drawn_in(LIGHT):
        figure = figure_of({"t": lines}, design(arms=arms, grid=grid), LIGHT)
        figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_the_same_numbers_draw_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw(BARS, design(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
