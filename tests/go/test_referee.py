"""The referee plays what is legal, ends what is over, and counts the board as it stands."""

from contextlib import suppress

import numpy as np
import pytest
from sgfmill.boards import Board as SgfmillBoard

from retrieve_rl.go.endings import VOIDS, Ending, Fault, Label
from retrieve_rl.go.points import BLACK, EMPTY, NO_MOVE, PASS, WHITE, move_of, moves_of, text_of
from retrieve_rl.go.referee import MAX_PLIES, Referee


def after(text, komi=7.0):
    """A referee who has heard these moves."""
    referee = Referee(0, b"", komi=komi)
    for vertex in text.split():
        assert referee.ending is None
        referee.hear(vertex)
    return referee


def test_a_game_is_told_as_it_is():
    referee = Referee(3, moves_of("E5 C3"), komi=6.5, seed=9)
    state = referee.state()
    assert (state.game, state.seed, state.komi, state.ko) == (3, 9, 6.5, NO_MOVE)
    assert state.to_move == BLACK and text_of(state.moves) == "E5 C3" and not state.two_passes
    assert state.stones[move_of("E5")] == BLACK and state.stones[move_of("C3")] == WHITE
    assert state.legal.sum() == 80 and state.legal[PASS] and not state.legal[move_of("E5")]
    referee.hear("G7")
    referee.hear("pass")
    # What a player was told does not change under its hands.
    assert text_of(state.moves) == "E5 C3" and state.stones[move_of("G7")] == EMPTY
    assert referee.state().to_move == BLACK and referee.ending is None


def test_two_passes_end_the_game_and_the_area_decides():
    assert after("E5 pass pass").ending == Ending(Label.SCORE, 1, 74.0)
    assert after("E5 C3 pass pass").ending == Ending(Label.SCORE, -1, -7.0)
    assert after("E5 pass pass", komi=81.0).ending == Ending(Label.SCORE, 0, 0.0)
    assert after("E5 pass pass").state().two_passes
    assert after("E5 pass C3 pass").ending is None


KO = "B9 C9 A8 B8 B7 D8 J1 C7 C8"  # Black has just taken at B8
RETURNED = "B9 A8 D9 B8 C8 J1 A9 C9"  # White took two stones; one may take that one


@pytest.mark.parametrize(
    "text, answer, detail",
    [
        ("E5", "E5", "E5: occupied"),
        (KO, "b8", "b8: ko"),
        (RETURNED, "B9", "B9: superko"),
        ("A8 J1 B9", "A9", "A9: suicide"),
        ("", "", "'' is no move"),
        ("", "Z99", "'Z99' is no move"),
        ("E5", "T19", "'T19' is no move"),
        ("", "x" * 100_000, f"'{'x' * 60}...' is no move"),
    ],
)
def test_an_illegal_move_loses(text, answer, detail):
    referee = after(text)
    loser = referee.to_move
    with suppress(ValueError):
        assert not referee.state().legal[move_of(answer)]
    referee.hear(answer)
    lost = -1 if loser == BLACK else 1
    assert referee.ending == Ending(Label.ILLEGAL, lost, None, loser, detail)
    assert text_of(referee.moves) == text


def test_resigning_loses_in_any_case():
    for text, outcome, loser in (("", -1, BLACK), ("E5", 1, WHITE)):
        referee = after(text)
        referee.hear(" Resign")
        assert referee.ending == Ending(Label.RESIGN, outcome, None, loser)


@pytest.mark.parametrize("label", [Label.TIME, *sorted(VOIDS)])
def test_a_fault_loses_or_voids(label):
    referee = after("E5")
    referee.hear(Fault(label, "a story"))
    outcome = None if label in VOIDS else 1
    assert referee.ending == Ending(label, outcome, None, WHITE, "a story")


def test_a_long_game_is_counted_as_it_stands():
    referee, board = Referee(0, b"", komi=7.0), SgfmillBoard(9)
    rng = np.random.default_rng(0)
    while referee.ending is None:
        state = referee.state()
        points = np.flatnonzero(state.legal[:81])
        move = int(rng.choice(points)) if len(points) else PASS
        if move != PASS:
            board.play(8 - move // 9, move % 9, "b" if state.to_move == BLACK else "w")
        referee.hear(text_of(bytes((move,))))
    assert len(referee.moves) == MAX_PLIES == 162
    assert referee.ending.label == Label.CAP
    assert referee.ending.margin == board.area_score() - 7.0


@pytest.mark.parametrize("text", ["E5 E5", "A8 J1 B9 A9", "pass pass"])
def test_an_opening_is_legal(text):
    with pytest.raises(ValueError, match="is no opening"):
        Referee(0, moves_of(text), komi=7.0)
