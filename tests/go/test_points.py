"""Moves as the Go Text Protocol writes them, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieve_rl.go.points import NUM_MOVES, PASS, move_of, moves_of, text_of, vertex_of


def test_every_move_comes_back():
    assert [move_of(vertex_of(move)) for move in range(NUM_MOVES)] == list(range(NUM_MOVES))
    assert text_of(bytes((40, 0, PASS))) == "E5 A9 pass"
    assert moves_of("E5 A9 pass") == bytes((40, 0, PASS)) and moves_of(" ") == b""


def test_capitals_and_spaces_do_not_matter():
    assert move_of(" e5\t") == 40 and move_of("PASS") == move_of("Pass") == PASS


@pytest.mark.parametrize("text", ["", "resign", "I5", "K1", "A0", "A10", "T19", "5E", "E5 x", "E٥"])
def test_what_is_no_move_is_refused(text):
    with pytest.raises(ValueError, match="is no move on 9x9"):
        move_of(text)


@given(st.text(max_size=8))
def test_no_text_is_read_as_a_move_it_does_not_name(text):
    try:
        move = move_of(text)
    except ValueError:
        return
    assert vertex_of(move).upper() == text.strip().upper()
