"""Boards on a terminal: what stands where, at any width."""

import io

import pytest
from rich.console import Console

from retrieve_rl.go.look_up import LookUp, Neighbor
from retrieve_rl.go.points import BLACK, WHITE
from retrieve_rl.go.text_boards import LEGEND, text_boards


def printed(found, width, **options):
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, **options)
    console.print(text_boards(found))
    return console.file.getvalue()


def test_a_board_by_hand(found, make_diagram):
    query = make_diagram({0: BLACK, 8: WHITE, 40: BLACK}, (80, 20), outcome=-1, row=4)
    assert [line.rstrip() for line in printed(LookUp(query, ()), 80).splitlines()] == [
        "query",
        "  A B C D E F G H J",
        "9 X . . . . . . . O",
        "8 . . . . . . . . .",
        "7 . . . . . . . . .",
        "6 . . . . . . . . .",
        "5 . . . . X . . . .",
        "4 . . . . . . . . .",
        "3 . . . . . . . . .",
        "2 . . . . . . . . .",
        "1 . . . . . . . . *",
        "",
        "white won by 2.5, komi 7",
        "ply 3, white to move",
        "next J1 C7",
        "black: Ann",
        "white: Bob",
        "games.sgf #5, row 4",
        "",
        LEGEND,
    ]


@pytest.mark.parametrize("width, titles", [(26, 1), (80, 3), (140, 5)])
def test_as_many_side_by_side_as_fit(found, width, titles):
    lines = printed(found, width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].split("  ")[0] == "query" and lines[0].count("neighbor") == titles - 1


def test_everything_is_told_of_every_neighbor(found):
    text = printed(found, 140)
    for told in (
        "neighbor 4",
        "distance 0.5123",
        "distance 12.5",
        "white won, komi 7",
        "draw, komi 7",
        "no result, komi -3.5",
        "next C7 pass G7 E5",
        "next none",
        "next pass",
        "black: ?",
        "games.sgf #5, row 18",
    ):
        assert told in text
    assert text.count("*") == 3 + LEGEND.count("*")


def test_the_next_move_is_red_and_names_are_no_markup(make_diagram):
    query = make_diagram({}, (0,), players=("[red]x", ":smile:"), file="a[b].sgf")
    found = LookUp(query, (Neighbor(query, 1.0, 0),))
    colored = printed(
        found, 80, force_terminal=True, color_system="standard", emoji=False, no_color=False
    )
    assert colored.count("\x1b[1;31m*\x1b[0m") == 2
    assert "[red]x" in colored and ":smile:" in colored and "a[b].sgf" in colored
