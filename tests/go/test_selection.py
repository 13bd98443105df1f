"""Filters: each alone, on both players."""

import math

import pytest

from retrieve_rl.go.selection import NO_RANK, Selection, rank, rating
from retrieve_rl.go.sgf import parse_game

HEADER = "SZ[9]KM[5.5]RE[W+R]PB[Ann]PW[bot]BR[2d]WR[4k]"


def takes(header=HEADER, moves=";B[aa];W[bb]", **options):
    return Selection(**options).takes(parse_game(f"(;{header}{moves})".encode()))


def test_ratings_and_ranks():
    assert (rating("2207"), rating(" 1830.5? "), rating("0")) == (2207.0, 1830.5, 0.0)
    assert all(math.isnan(rating(text)) for text in ("", "3d", "-5", "2 207", "nan"))
    texts = ("2k", "1k", "1d", "3 dan", "1p", "-6k", "5k?")
    assert [rank(text) for text in texts] == [-1, 0, 1, 3, 10, 7, -4]
    assert {rank(text) for text in ("", "2207", "d", "123k", "3x")} == {NO_RANK}


@pytest.mark.parametrize(
    "options, taken",
    [
        ({}, True),
        ({"players": ("bot", "other")}, True),
        ({"players": ("other",)}, False),
        ({"named_side_only": True}, True),
        ({"named_side_only": True, "players": ("nobody",)}, False),
    ],
)
def test_each_filter(options, taken):
    assert takes(**options) is taken


def test_sides():
    assert Selection().takes_side("")
    named = Selection(named_side_only=True)
    assert named.takes_side("bot") and not named.takes_side("")
    listed = Selection(named_side_only=True, players=("bot",))
    assert listed.takes_side("bot") and not listed.takes_side("Ann")
    assert not takes("SZ[9]KM[7]RE[0]", named_side_only=True)
