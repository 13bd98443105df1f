"""SGF that is written is read back, whatever the names."""

from hypothesis import given
from hypothesis import strategies as st

from retrieve_rl.go.points import PASS, moves_of
from retrieve_rl.go.sgf import parse_game
from retrieve_rl.go.write_sgf import sgf_text


def test_a_game_as_sgf():
    text = sgf_text(
        moves_of("E5 A9 pass J1"), komi=7.0, names=("Ann", "Bob"), result="W+7", comment="a [b]"
    )
    assert text == (
        "(;FF[4]GM[1]CA[UTF-8]SZ[9]KM[7]RU[Chinese]PB[Ann]PW[Bob]RE[W+7]GC[a [b\\]]\n"
        ";B[ee];W[aa];B[];W[ii])\n"
    )


@given(
    st.binary(max_size=40).map(lambda raw: bytes(value % (PASS + 1) for value in raw)),
    st.text(max_size=12),
    st.sampled_from([7.0, 6.5, -3.0, 0.0]),
)
def test_what_is_written_is_read_back(moves, name, komi):
    text = sgf_text(moves, komi=komi, names=(name, "]\\"), result="B+0.5", comment=name)
    game = parse_game(text.encode())
    assert (game.moves, game.komi, game.outcome, game.margin) == (moves, komi, 1, 0.5)
    assert game.rules == "Chinese" and game.names[1] == "]\\"
