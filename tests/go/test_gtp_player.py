"""Many games of one engine: a process each, one's failure no other's business."""

import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.go.endings import Fault, Label
from retrieve_rl.go.gtp_engine import TimeLimits
from retrieve_rl.go.gtp_player import GtpPlayer
from retrieve_rl.go.points import moves_of
from retrieve_rl.go.referee import Referee
from retrieve_rl.signals import StopRequest

PATIENT = TimeLimits(command=60.0)


@pytest.fixture
def start(fake_engine, nothing_left):
    """start("play:1:hang"): a player of such engines, two thinking at a time."""
    players = []

    def make(*arguments, limits=PATIENT, stop=None):
        command = fake_engine.command(*arguments)
        player = GtpPlayer(command, stop=stop or StopRequest(), limits=limits, thinking=2)
        players.append(player)
        return player

    yield make
    for player in players:
        player.close()


def states(*games, moves="", seed=0):
    return [Referee(game, moves_of(moves), komi=7.0, seed=seed).state() for game in games]


def test_games_do_not_mix(start):
    player = start()
    assert player.name.startswith("Fake 1 (") and "fake_engine.py" in player.name
    assert player.moves(states(0, 1, 2)) == ["A1"] * 3
    assert player.moves([*states(2, moves="A1 C1"), *states(3)]) == ["E1", "A1"]
    assert player.moves(states(0, 1, moves="A1 D4")) == ["C1"] * 2
    assert player.ended(states(0, 1, 2, 3, 4)) == [None] * 5
    assert player.moves(states(5, 6)) == ["A1"] * 2


def test_a_failure_is_told_for_its_game_alone(start):
    player = start("genmove:3:exit:0")
    assert player.moves(states(0, 1)) == ["A1"] * 2
    assert player.moves(states(0, moves="A1 D4")) == ["C1"]
    answers = player.moves([*states(0, moves="A1 D4 C1 D5"), *states(1, moves="A1 D4")])
    assert isinstance(answers[0], Fault) and answers[0].label == Label.CRASH and answers[1] == "C1"
    assert player.ended(states(0, 1)) == [None] * 2
    # The process that is left serves the next game, and fails at its third move, too.
    (answer,) = player.moves(states(2))
    assert isinstance(answer, Fault) and answer.label == Label.CRASH
    assert player.moves(states(3)) == ["A1"]


def test_a_process_that_ended_between_games_is_replaced(start):
    player = start("genmove:2:last")
    assert player.moves(states(0)) == ["A1"]
    assert player.moves(states(0, moves="A1 D4")) == ["C1"]  # these were its last words
    assert player.ended(states(0)) == [None]
    assert player.moves(states(1)) == ["A1"]


def test_every_game_has_its_own_seed_and_process(start):
    player = start("genmove:{seed}:refuse:no", "--seed", "{seed}")
    answers = player.moves([*states(0, seed=1), *states(1, seed=2)])
    assert isinstance(answers[0], Fault) and answers[1] == "A1"
    answers = player.moves([*states(1, moves="A1 D4"), *states(2, seed=2)])
    assert isinstance(answers[0], Fault) and answers[1] == "A1"
    assert player.ended(states(2)) == [None]
    assert player.moves(states(3, seed=2)) == ["A1"]


def test_the_score_is_asked_after_two_passes_alone(start):
    player = start("final_score:1:say:W+7", "final_score:2:hang", limits=TimeLimits(command=1.0))
    player.moves(states(0))
    assert player.ended(states(0, moves="A1 D4")) == [None]
    ended = states(1, moves="A1 D4")
    player.moves(ended)
    over = [state._replace(moves=state.moves + moves_of("C1 pass pass")) for state in ended]
    assert player.ended(over) == ["W+7"]
    # What an engine does after the end does not matter.
    player.moves(ended)
    assert player.ended(over) == [None]
    assert player.moves(states(2)) == ["A1"]


def test_a_signal_ends_the_wait(start):
    stop = StopRequest()
    player = start("genmove:1:hang", limits=TimeLimits(move=60.0), stop=stop)
    stop.signal_number = 15
    with pytest.raises(Interrupted):
        player.moves(states(0, 1, 2))
