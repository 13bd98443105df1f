"""An engine of the Go Text Protocol: what it answers, and that nothing it is sent ends it."""

import io
import shlex
import sys
import textwrap

import numpy as np
import pytest

from retrieve_rl.go.endings import Fault, Label
from retrieve_rl.go.gtp_engine import TimeLimits
from retrieve_rl.go.gtp_player import GtpPlayer
from retrieve_rl.go.gtp_session import GtpSession, serve
from retrieve_rl.go.match import play_match
from retrieve_rl.go.match_games import plan_games
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.points import BLACK, NO_MOVE, WHITE, moves_of, vertex_of
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest


class FirstMove:
    """Plays the first legal point; keeps what it was asked."""

    name = "first"

    def __init__(self, answer=None):
        self.asked, self.answer = [], answer

    def moves(self, states):
        self.asked += states
        return [self.answer or vertex_of(int(np.argmax(state.legal))) for state in states]

    def ended(self, states):
        self.asked = []
        return [None for _ in states]


@pytest.fixture
def player():
    return FirstMove()


@pytest.fixture
def session(player):
    return GtpSession(player, version="1", komi=7.0, heard=lambda: "row 3\nrow 5")


def ask(session, *lines):
    return [session.answer(line) for line in lines]


def test_a_new_game_is_another_one_to_the_player(session, player):
    ask(session, "genmove b")
    (before,) = player.asked
    ask(session, "clear_board")
    assert player.asked == []  # it was told that the game ended
    ask(session, "genmove b")
    (after,) = player.asked
    ask(session, "undo", "genmove b")
    assert before.seed != after.seed == player.asked[-1].seed


def test_who_it_is(session):
    assert ask(session, "protocol_version", "2 name", "3\tversion") == [
        "= 2\n\n",
        "=2 retrieve_rl\n\n",
        "=3 1\n\n",
    ]
    known = session.answer("list_commands")[2:].split()
    needed = (
        "protocol_version name version list_commands known_command boardsize clear_board komi play"
        " genmove undo final_score showboard time_settings time_left quit rrl-neighbors"
    )
    assert set(needed.split()) <= set(known)
    assert all(session.answer(f"known_command {name}") == "= true\n\n" for name in known)
    assert session.answer("known_command fly") == "= false\n\n"
    assert session.answer("4 rrl-neighbors") == "=4 row 3\nrow 5\n\n"


def test_a_game(session, player):
    told = ask(
        session,
        "boardsize 9",
        "komi 6.5",
        "time_settings 0 5 1",
        "time_left b 5 1",
        "play b E5",
        "play WHITE e4",
        "genmove b",
        "7 genmove w",
    )
    assert told == ["=\n\n"] * 6 + ["= A9\n\n", "=7 B9\n\n"]
    first, second = player.asked
    assert (first.to_move, first.komi, first.moves) == (BLACK, 6.5, moves_of("E5 E4"))
    assert (second.to_move, second.moves) == (WHITE, moves_of("E5 E4 A9"))
    assert np.count_nonzero(second.stones) == 3 and not second.legal[0]
    board = session.answer("showboard").splitlines()
    assert board[2] == " 9 X O . . . . . . ." and board[6].split()[5] == "X"


def test_undo_takes_back_one_move_and_what_it_captured(session, player):
    # Black takes the stone at A9.
    ask(session, "play w A9", "play b B9", "play b A8")
    session.answer("genmove w")
    assert player.asked[-1].stones[0] == 0
    assert ask(session, "undo", "undo") == ["=\n\n"] * 2
    session.answer("genmove b")
    assert player.asked[-1].stones[0] == WHITE and player.asked[-1].moves == moves_of("A9 B9")
    ask(session, "clear_board")
    assert session.answer("undo") == "? cannot undo\n\n"


@pytest.mark.parametrize(
    "komi, moves, score",
    [("7", "", "W+7"), ("0", "", "0"), ("0.5", "play b E5", "B+80.5"), ("81", "play b A1", "0")],
)
def test_the_board_is_counted_by_area(session, komi, moves, score):
    ask(session, f"komi {komi}", *filter(None, [moves]))
    assert session.answer("final_score") == f"= {score}\n\n"


@pytest.mark.parametrize(
    "line, message",
    [
        ("fly", "unknown command"),
        ("boardsize 19", "unacceptable size"),
        ("boardsize", "syntax error"),
        ("komi x", "komi not a float"),
        ("komi nan", "komi not a float"),
        ("play b", "invalid color or coordinate"),
        ("play b J10", "invalid color or coordinate"),
        ("play b I5", "invalid color or coordinate"),
        ("play green E5", "invalid color or coordinate"),
        ("play w E5", "illegal move"),
        ("genmove", "syntax error"),
        ("genmove x", "invalid color or coordinate"),
        ("known_command", "syntax error"),
        ("\u00e9", "unknown command"),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(session, player, line, message):
    session.answer("play b E5")
    assert session.answer(f"12 {line}") == f"?12 {message}\n\n"
    assert session.answer(line) == f"? {message}\n\n"
    session.answer("genmove w")
    assert player.asked[0].moves == moves_of("E5") and player.asked[0].komi == 7.0


def test_suicide_and_ko_are_refused_and_repetition_is_left_to_the_controller(session, player):
    ask(session, "play b A8", "play b B9")
    assert session.answer("play w A9") == "? illegal move\n\n"
    ask(session, "clear_board", *(f"play b {v}" for v in ("C5", "D6", "D4")))
    ask(session, *(f"play w {v}" for v in ("F5", "E6", "E4", "D5")))
    assert session.answer("play b E5") == "=\n\n"
    assert session.answer("play w D5") == "? illegal move\n\n"
    # Both pass: simple ko is lifted, and taking back repeats the position.
    assert ask(session, "play w pass", "play b pass", "play w D5") == ["=\n\n"] * 3


def test_who_took_a_ko_may_fill_it(session, player):
    ko = [f"play b {v}" for v in ("C5", "D6", "D4")]
    ko += [*(f"play w {v}" for v in ("F5", "E6", "E4", "D5")), "play b E5"]
    point = moves_of("D5")[0]
    ask(session, *ko, "genmove w")
    assert (player.asked[0].ko, player.asked[0].legal[point]) == (point, False)
    ask(session, "undo", "genmove b")
    assert (player.asked[0].ko, player.asked[0].legal[point]) == (NO_MOVE, True)
    # What Black is refused lifts no ko for White.
    ask(session, "clear_board", *ko)
    assert ask(session, "play b E5", "play w D5") == ["? illegal move\n\n"] * 2
    assert ask(session, "play b D5", "undo", "play w D5") == ["=\n\n"] * 2 + ["? illegal move\n\n"]
    session.answer("play b D5")
    assert session.answer("showboard").splitlines()[6].split()[3:7] == ["X", "X", "X", "O"]


def test_comments_and_empty_lines_are_no_commands(session):
    assert ask(session, "", "  # hello", "\t", "\x07") == [None] * 4
    assert session.answer("name # who?") == "= retrieve_rl\n\n"
    assert session.answer("5") == "?5 syntax error\n\n"
    assert session.answer("6 na\x00me\r") == "=6 retrieve_rl\n\n"


@pytest.mark.parametrize(
    "answer, message",
    [
        (Fault(Label.CRASH, "it broke"), "it broke"),
        (
            "A10",
            "internal error: ValueError: 'A10' is no move on 9x9: expected one like E5, or pass",
        ),
        ("E5", "E5 was chosen, which is illegal"),
    ],
)
def test_a_player_that_fails_does_not_end_the_session(answer, message):
    session = GtpSession(FirstMove(answer), version="1", komi=7.0, heard=str)
    session.answer("play b E5")
    assert session.answer("3 genmove w") == f"?3 {message}\n\n"
    assert session.answer("rrl-neighbors") == "=\n\n"
    assert session.answer("undo") == "=\n\n"


def test_lines_are_served_until_quit(session):
    out = io.StringIO()
    serve(session, [b"1 name\n", b"\xff\n", b"\n", b"2 quit\n", b"3 name\n"], out)
    assert out.getvalue() == "=1 retrieve_rl\n\n? unknown command\n\n=2\n\n"


ENGINE = """
    import sys
    import numpy as np
    from retrieve_rl.go.board import NEIGHBORS
    from retrieve_rl.go.gtp_session import GtpSession, serve
    from retrieve_rl.go.points import PASS, vertex_of

    class Player:
        name = "some"

        def moves(self, states):
            (state,) = states
            own = np.append(state.stones == state.to_move, True)
            points = np.flatnonzero(state.legal[:81] & ~own[NEIGHBORS].all(axis=1))
            rng = np.random.default_rng(len(state.moves))
            return [vertex_of(int(rng.choice(points)) if len(points) else PASS)]

        def ended(self, states):
            return [None]

    session = GtpSession(Player(), version="1", komi=7.0, heard=str)
    serve(session, sys.stdin.buffer, sys.stdout)
"""


def test_it_plays_a_match_under_our_own_controller(tmp_path, nothing_left, random_player):
    command = shlex.join([sys.executable, "-c", textwrap.dedent(ENGINE)])
    games = plan_games(OpeningSet((moves_of("E5 C3"), moves_of("D4"))), 4, komi=7.0)
    stop, limits = StopRequest(), TimeLimits(start=120.0, command=60.0)
    with GtpPlayer(command, stop=stop, limits=limits) as engine:
        assert engine.name.startswith("retrieve_rl 1 (")
        played = play_match(
            random_player("Ann", 1),
            engine,
            games,
            tmp_path,
            at_once=4,
            reporter=Reporter(-1),
            stop=stop,
        )
    assert {game.label for game in played} <= {Label.SCORE, Label.CAP}
    for game in played:
        if game.label == Label.SCORE:
            assert len(game.claims) == 1 and list(game.claims.values()) == [game.result]
