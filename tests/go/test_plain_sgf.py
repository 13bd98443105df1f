"""The short way to read a game and the long way agree on every text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve_rl.go import sgf
from retrieve_rl.go.plain_sgf import MOVES, plain_game
from retrieve_rl.go.points import BLACK, PASS, WHITE

PLAIN = b"(;GM[1]SZ[9]\nC[a \\] ; (b]KM[7];W[ea]\n;B[ie]BL[29.5];W[];B[tt])\n"


def read(text):
    try:
        return sgf.parse_game(text)
    except sgf.RejectedGame as rejection:
        return rejection.reason


def read_the_long_way(text):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sgf, "plain_game", lambda text: None)
        return read(text)


def test_root_and_moves_are_split():
    game = plain_game(PLAIN)
    assert game.root == {"GM": [b"1"], "SZ": [b"9"], "C": [b"a \\] ; (b"], "KM": [b"7"]}
    assert (game.moves, game.first_color) == (bytes([4, 44, PASS, PASS]), WHITE)
    assert read(PLAIN) == read_the_long_way(PLAIN)


def test_one_move_is_enough():
    game = plain_game(b"(;SZ[9];B[aa])")
    assert (game.moves, game.first_color) == (b"\0", BLACK)


def test_every_move_has_its_number():
    nodes = (b";%c[%b]" % (b"BW"[number % 2], name) for number, name in enumerate(MOVES))
    text = b"(;SZ[9]%b)" % b"".join(nodes)
    assert plain_game(text).moves == bytes(MOVES.values())
    assert read(text) == read_the_long_way(text)


@pytest.mark.parametrize(
    "root",
    [
        b"",
        b" \t\v\f\r\n",
        b"SZ[9]AB[aa] [bb:cc]\nAB\n[dd]KM[]AE[aa]",
        b"SZ[9]GM[1]SZ[19]GM[2]",
        b"SZ[9]PB[a\\]b\\\\]PW[\\\n[\xff(;]RE[\n]",
        b"A" * 64 + b"[x]SZ[9]",
    ],
)
def test_a_root_is_read_as_sgfmill_reads_it(root):
    (expected,) = sgf._nodes(b"(;%b)" % root)
    assert plain_game(b"(;%b;B[aa])" % root).root == expected


@pytest.mark.parametrize(
    "text",
    [
        b"(;SZ[9])",
        b"(;SZ[9];B[aa](;W[ba])(;W[ca]))",
        b"(;SZ[9];B[aa];B[ba])",
        b"(;SZ[9];B[jj])",
        b"(;SZ[9];B[aa]C[a comment];W[ba])",
        b"(;SZ[9];B[aa];AB[ba])",
        b"(;SZ[9];B[aa]",
        b"junk (;SZ[9];B[aa])",
        b"(;SZ[9]B[aa];W[ba])",
        b"(;SiZe[9];B[aa])",
        b"(;SZ[9]AddBlack[bb]ab[x];B[aa])",
        b"(;SZ[9]KM;B[aa])",
        b"(;[x]SZ[9];B[aa])",
        b"(;SZ[9]" + b"A" * 65 + b"[x];B[aa])",
        b"",
    ],
)
def test_other_texts_go_the_long_way(text):
    assert plain_game(text) is None
    assert read(text) == read_the_long_way(text)


PIECES = st.sampled_from(
    [b"(", b")", b";", b"[", b"]", b"\\", b"\n", b";B[aa]", b";W[bb]", b";B[]", b"BL[3]", b"W[cc]"]
    + [b"KM[7]", b"AB[dd]", b"[ee]", b"PB[a\\]", b"RE", b"x"]
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"(;SZ[9]", b"(;SZ[9]B[dd]", b"(;"]), st.lists(PIECES, max_size=12))
def test_both_ways_agree(head, pieces):
    text = head + b"".join(pieces)
    assert read(text) == read_the_long_way(text)
    assert read(text + b")") == read_the_long_way(text + b")")
