"""What an agent considers: no pass that loses a game still to be won, no filling of its eyes."""

import numpy as np
import pytest

from retrieve_rl.go.allowed_moves import allowed_moves, eyes
from retrieve_rl.go.endings import Label
from retrieve_rl.go.points import BLACK, EMPTY, NO_MOVE, PASS, WHITE, moves_of
from retrieve_rl.go.referee import GameState, Referee

COLORS = {".": EMPTY, "X": BLACK, "O": WHITE}


def board(text):
    rows = text.split()
    return np.array([COLORS[c] for row in rows for c in row.ljust(9, ".")] + [0] * 81, np.uint8)[
        :81
    ]


def state(text, to_move=BLACK, *, komi=7.0, moves="A1 pass", legal=None):
    stones = board(text)
    allowed = np.append(stones == EMPTY, True) if legal is None else legal
    return GameState(0, 0, komi, moves_of(moves), to_move, stones, NO_MOVE, allowed)


def whole_board(row, count=9):
    return " ".join([row] * count)


@pytest.mark.parametrize(
    "text, point, is_eye",
    [
        (".X XX", 0, True),
        (".X XO", 0, False),
        (".X X.", 0, True),
        ("X.X XXX", 1, True),
        ("X.X OXX", 1, False),
        (".X. X.X .X.", 10, True),
        ("OX. X.X .X.", 10, True),
        ("OXO X.X .X.", 10, False),
        (".X. X.X .O.", 10, False),
        (".X. XXX .X.", 10, False),
    ],
)
def test_an_eye_is_whole_and_not_false(text, point, is_eye):
    assert eyes(board(text)[None], np.array([BLACK]))[0, point] == is_eye
    assert not eyes(board(text)[None], np.array([WHITE])).any()


def test_eyes_are_not_filled_even_where_nothing_is_left_but_a_pass_that_loses():
    # Black has the whole board but for two eyes: as it stands, he wins.
    text = ".X.XXXXXX XXXXXXXXX " + whole_board("XXXXXXXXX", 7)
    allowed = allowed_moves([state(text)])[0]
    assert np.flatnonzero(allowed).tolist() == [PASS]
    # With eighty points of komi he loses, and still nothing else is left.
    allowed = allowed_moves([state(text, komi=81.5)])[0]
    assert np.flatnonzero(allowed).tolist() == [PASS]


HALVES = whole_board("....XO...", 9)
"""Five columns for Black, four for White: Black is nine points ahead on the board."""


@pytest.mark.parametrize(
    "to_move, komi, moves, may_pass, must_pass",
    [
        (BLACK, 7.0, "A1 B1", True, False),
        (BLACK, 7.0, "A1 pass", True, True),
        (WHITE, 7.0, "A1", False, False),
        (WHITE, 7.0, "pass", False, False),
        (WHITE, 10.0, "pass", True, True),
        (BLACK, 9.0, "A1 B1", True, False),
        (BLACK, 9.0, "A1 pass", True, False),
        (WHITE, 9.0, "pass", True, False),
        (BLACK, 9.5, "A1 pass", False, False),
    ],
)
def test_a_pass_may_not_lose_and_is_made_where_it_wins(to_move, komi, moves, may_pass, must_pass):
    allowed = allowed_moves([state(HALVES, to_move, komi=komi, moves=moves)])[0]
    assert allowed[PASS] == may_pass
    assert (not allowed[:PASS].any()) == must_pass


def test_dead_stones_are_taken_before_the_game_is_given_away():
    # All is Black's but for White's dead stone at E5: it makes its surroundings neutral, and with
    # this komi that decides.
    text = (
        "X.......X ......... ......... ...XXX... ..X.O.X.. ...XXX... ......... ......... X.......X"
    )
    dead = state(text, komi=78.0)
    allowed = allowed_moves([dead])[0]
    assert not allowed[PASS] and allowed[moves_of("D5")[0]] and allowed[moves_of("F5")[0]]
    taken = text.replace("X.O.X", "XX.XX")
    assert np.flatnonzero(allowed_moves([state(taken, komi=78.0)])[0]).tolist() == [PASS]


def test_random_games_of_allowed_moves_are_legal_and_no_pass_gives_a_game_away():
    rng = np.random.default_rng(3)
    ended = []
    for number in range(6):
        referee = Referee(number, b"", komi=7.0)
        before = []
        while referee.ending is None:
            now = referee.state()
            allowed = allowed_moves([now])[0]
            assert allowed.any() and (now.legal | ~allowed).all()
            before.append((now, allowed))
            move = rng.choice(np.flatnonzero(allowed))
            referee.hear("pass" if move == PASS else f"{'ABCDEFGHJ'[move % 9]}{9 - move // 9}")
        ended.append(referee.ending.label)
        if referee.ending.label == Label.SCORE:
            last, allowed = before[-1]
            won = (1 if last.to_move == BLACK else -1) * referee.ending.margin
            assert won >= 0 or not allowed[:PASS].any()
    assert Label.ILLEGAL not in ended and Label.SCORE in ended


def test_of_no_positions_nothing_is_said():
    assert allowed_moves([]).shape == (0, 82)
