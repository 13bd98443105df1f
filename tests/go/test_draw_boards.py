"""The picture: red marks, borders, distances, and the same bytes every time."""

import io
import re
from xml.etree import ElementTree

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from retrieve_rl.go.draw_boards import BORDERS, COLUMNS, DOTS_PER_INCH, RED, draw_boards
from retrieve_rl.go.look_up import LookUp, Neighbor
from retrieve_rl.go.points import BLACK

SVG = "{http://www.w3.org/2000/svg}"
INK = re.compile(r"(fill|stroke): (#[0-9a-f]{6})")


class Drawing:
    """An SVG as its reader sees it: named groups and texts."""

    def __init__(self, svg):
        root = ElementTree.fromstring(svg)
        self.groups = {group.get("id"): group for group in root.iter(f"{SVG}g") if group.get("id")}
        self.texts = ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]

    def marks(self, board):
        names = (re.fullmatch(rf"{board}-next-(\d+)", name) for name in self.groups)
        return [int(name[1]) for name in names if name]

    def border(self, board):
        (name,) = (name for name in self.groups if name.startswith(f"{board}-border-"))
        return name.rpartition("-")[2], self.inks(name)["fill"]

    def inks(self, name):
        return dict(INK.findall(" ".join(path.get("style") for path in self.groups[name])))


@pytest.fixture(scope="module")
def pictures(found):
    return draw_boards(found)


@pytest.fixture(scope="module")
def drawing(pictures):
    return Drawing(pictures.svg)


def test_next_moves_are_red_and_numbered(drawing):
    assert drawing.marks("query") == [1, 3]
    assert drawing.inks("query-next-1") == {"fill": RED, "stroke": RED}
    assert drawing.inks("query-next-3")["stroke"] == RED
    assert [drawing.marks(f"neighbor-{n}") for n in (1, 2, 3, 4)] == [[1], [1, 3], [], []]
    # A single move needs no number: 1 of the query and of neighbor 2, a row of each board.
    assert drawing.texts.count("1") == 2 + 5
    assert {"not drawn: 2 pass, 4 at E5", "not drawn: 2 at C7", "not drawn: 1 pass"} <= set(
        drawing.texts
    )


def test_borders_tell_the_winner(drawing):
    assert drawing.border("query") == ("black", BORDERS["black"])
    assert drawing.border("neighbor-1") == ("white", BORDERS["white"])
    assert drawing.border("neighbor-2") == ("draw", BORDERS["draw"])
    winner, ink = drawing.border("neighbor-3")
    assert winner == "unknown" and ink not in BORDERS.values()
    assert {"black won", "white won", "draw"} <= set(drawing.texts)


def test_captions_stand_below(drawing):
    distances = [text for text in drawing.texts if text.startswith("distance")]
    assert distances == ["distance 0", "distance 0.5123", "distance 12.5", "distance 1235"]
    titles = [text for text in drawing.texts if text in ("query", "neighbor 1", "neighbor 4")]
    assert titles == ["query", "neighbor 1", "neighbor 4"]
    for told in ("black won by 2.5, komi 7", "ply 3, white to move", "games.sgf #5, row 17"):
        assert told in drawing.texts


def pixels(png):
    return matplotlib.image.imread(io.BytesIO(png), format="png")


def test_the_png_is_the_same_drawing(pictures, drawing):
    image = pixels(pictures.png)
    root = ElementTree.fromstring(pictures.svg)
    points = [float(root.get(side).removesuffix("pt")) for side in ("height", "width")]
    np.testing.assert_allclose(image.shape[:2], np.array(points) * DOTS_PER_INCH / 72, atol=1)
    red = (image[..., 0] > 0.7) & (image[..., 1:3] < 0.2).all(axis=-1)
    assert red.sum() > 500


def test_many_boards_stand_in_several_lines(make_diagram):
    board = make_diagram({0: BLACK})
    shapes = [
        pixels(draw_boards(LookUp(board, (Neighbor(board, 1.0, 0),) * more)).png).shape
        for more in (0, 1, COLUMNS - 1, COLUMNS)
    ]
    heights, widths = [shape[0] for shape in shapes], [shape[1] for shape in shapes]
    assert heights[0] == heights[1] == heights[2] < heights[3]
    assert widths[0] < widths[1] < widths[2] == widths[3]


def test_the_same_look_up_draws_the_same_bytes_whatever_the_user_s_settings(found, pictures):
    changed = {"savefig.dpi": 30, "savefig.bbox": "tight", "svg.hashsalt": "x", "font.size": 20}
    with matplotlib.rc_context(changed):
        assert draw_boards(found) == pictures
        assert matplotlib.rcParams["font.size"] == 20
    assert b"<dc:date>" not in pictures.svg


def test_any_name_is_shown_as_it_is(make_diagram):
    names = ("$x^2$ <b>&amp;", "\N{CJK UNIFIED IDEOGRAPH-68CB}" * 3)
    svg = draw_boards(LookUp(make_diagram({}, players=names), ())).svg
    drawing = Drawing(svg)
    assert f"black: {names[0]}" in drawing.texts and f"white: {names[1]}" in drawing.texts
    long = make_diagram({}, players=("x" * 64, ""))
    texts = Drawing(draw_boards(LookUp(long, ())).svg).texts
    assert f"black: {'x' * 28}..." in texts
