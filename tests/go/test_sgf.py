"""One SGF text: what is read of it, and under which reason it is refused."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve_rl.go import sgf
from retrieve_rl.go.points import BLACK, PASS, WHITE
from retrieve_rl.go.sgf import MAX_MOVES, Game, Reason, RejectedGame, parse_game


def parse(body, header="SZ[9]KM[7]RE[B+3.5]"):
    return parse_game(f"(;{header}{body})".encode())


def reason(body, header="SZ[9]KM[7]RE[B+3.5]"):
    with pytest.raises(RejectedGame) as caught:
        parse(body, header)
    return caught.value.reason


def test_everything_is_read():
    players = "PB[Some One]PW[Bot]BR[3k]WR[2207?]"
    header = f"GM[1]FF[4]SZ[9]KM[6.5]RU[Chinese]RE[W+2.5]HA[2]{players}AB[cc][gg]"
    assert parse(";W[ea];B[ie];W[];B[tt]", header) == Game(
        black=bytes([2 * 9 + 2, 6 * 9 + 6]),
        white=b"",
        moves=bytes([4, 4 * 9 + 8, PASS, PASS]),
        first_color=WHITE,
        komi=6.5,
        outcome=-1,
        margin=-2.5,
        handicap=2,
        rules="Chinese",
        names=("Some One", "Bot"),
        ratings=("3k", "2207?"),
    )


def test_only_the_main_line_counts():
    game = parse(";B[aa](;W[ba](;B[ca])(;B[da]))(;W[ea];B[fa])")
    assert game.moves == bytes([0, 1, 2])


@pytest.mark.parametrize(
    "text, outcome, margin",
    [
        ("B+3.5", 1, 3.5),
        ("W+0.5", -1, -0.5),
        ("w+12", -1, -12.0),
        ("B+R", 1, None),
        ("B+Resign", 1, None),
        ("White+Time", -1, None),
        ("W+", -1, None),
        ("0", 0, 0.0),
        ("Draw", 0, 0.0),
        ("B+0.0", 0, 0.0),
        ("Void", None, None),
        ("?", None, None),
        ("", None, None),
        ("B3.5", None, None),
    ],
)
def test_results(text, outcome, margin):
    game = parse(";B[aa]", f"SZ[9]RE[{text}]")
    assert (game.outcome, game.margin) == (outcome, margin)


@pytest.mark.parametrize(
    "text, komi",
    [
        ("7", 7.0),
        ("-3.5", -3.5),
        ("6,5", 6.5),
        ("-", None),
        ("", None),
        ("nan", None),
        ("1e9", None),
    ]
    + [("375", None)],
)
def test_komi(text, komi):
    assert parse(";B[aa]", f"SZ[9]KM[{text}]").komi == komi


def test_setup():
    game = parse("AB[aa:ca][cc]AW[ia]AE[ba]")
    assert game.black == bytes([0, 2, 20]) and game.white == bytes([8])
    assert game.first_color == BLACK  # White has stones, too: no handicap
    assert parse("AB[cc]").first_color == WHITE
    assert parse("AB[cc]PL[B]").first_color == BLACK
    assert parse(";AB[cc];W[aa]").black == bytes([20])
    assert reason("AB[jj]") == reason("AB[]") == reason("AB[aa:]") == Reason.BAD_SETUP
    assert reason(";B[aa];AB[cc]") == Reason.LATE_SETUP


def test_reasons():
    assert reason(";B[aa]", "SZ[19]") == reason(";B[aa]", "KM[7]") == Reason.BOARD_SIZE
    assert reason(";B[aa]", "SZ[9:9]") == Reason.BOARD_SIZE
    assert reason(";B[aa]", "GM[2]SZ[9]") == Reason.NOT_GO
    assert reason(";B[ja]") == reason(";B[a]") == reason(";B[aaa]") == Reason.OFF_BOARD
    assert reason(";B[aa];B[bb]") == Reason.TURNS
    assert reason(";B[aa][bb]") == reason(";B[aa]W[bb]") == Reason.BROKEN
    assert reason(";B") == reason("(") == Reason.BROKEN
    assert reason(";B[];W[]" * (MAX_MOVES // 2) + ";B[aa]") == Reason.TOO_LONG
    assert reason("C[" + "x" * 1_000_000 + "]") == Reason.TOO_LARGE
    assert len(parse(";B[];W[]" * (MAX_MOVES // 2)).moves) == MAX_MOVES


def test_names_in_any_encoding():
    assert parse_game("(;SZ[9]PB[Žofie])".encode()).names[0] == "Žofie"
    assert parse_game("(;SZ[9]PB[Jürgen])".encode("latin-1")).names[0] == "Jürgen"
    assert parse_game(rb"(;SZ[9]PB[a\]b\\c" + b"\n\x00d])").names[0] == r"a]b\c d"
    assert parse_game(f"(;SZ[9]PB[x{'ž' * 5000}])".encode()).names[0] == "x" + "ž" * 63


def test_clean_texts_are_read_as_all_others(monkeypatch):
    letters = [b"a%cb" % letter for letter in range(256) if letter != ord("]")]
    lengths = [b" %b " % (b"xy " * 40)[:length] for length in range(60, 70)]
    texts = [*letters, *lengths, b"", b"  ", b"\\]", b"a\\\\ ", b"\\\nb"]

    def read():
        return [parse_game(b"(;SZ[9]PB[%b];B[aa])" % text).names[0] for text in texts]

    found = read()
    monkeypatch.setattr(sgf, "_CLEAN", re.compile(rb"(?!)"))  # none is
    assert found == read()


def test_nested_variations_do_not_exhaust_the_stack():
    depth = 20_000
    game = parse_game(b"(;SZ[9]" + b"(;B[])" * 10 + b"(;" * depth + b")" * depth + b")")
    assert game.moves == bytes([PASS])


PIECES = st.sampled_from(
    ["(", ")", ";", "[", "]", "\\", ":", "B[aa]", "W[bb]", ";B[cc]", ";W[]", "AB[aa:cc]", "AE[aa]"]
    + [
        "SZ[9]",
        "SZ[x]",
        "GM[1]",
        "KM[7.5]",
        "KM[nan]",
        "RE[B+R]",
        "RE[+]",
        "HA[9]",
        "PB[\x00]",
        "é",
    ]
)
TEXTS = st.one_of(
    st.binary(max_size=300),
    st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode()),
    st.lists(PIECES, max_size=30).map(lambda pieces: ("(;SZ[9]" + "".join(pieces) + ")").encode()),
)


@settings(max_examples=300, deadline=100)
@given(TEXTS)
def test_any_text_is_a_game_or_rejected(text):
    try:
        game = parse_game(text)
    except RejectedGame as rejection:
        assert rejection.reason in Reason
    else:
        assert all(move <= PASS for move in game.moves)
        assert not set(game.black) & set(game.white)
