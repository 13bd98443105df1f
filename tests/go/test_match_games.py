"""Games of a match: planned in pairs, told from both sides, written down."""

import pytest

from retrieve_rl.errors import UsageError
from retrieve_rl.go.endings import Ending, Fault, Label, counted, failed
from retrieve_rl.go.match_games import plan_games, played_game
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.points import BLACK, WHITE, moves_of

OPENINGS = OpeningSet((moves_of("E5"), moves_of("C3 G7")), first_seed=100)


def test_every_opening_is_played_with_both_colors():
    games = plan_games(OPENINGS, 6, komi=7.0)
    assert [game.number for game in games] == list(range(6))
    assert [game.opening for game in games] == ["E5", "E5", "C3 G7", "C3 G7", "E5", "E5"]
    assert [game.opening_number for game in games] == [0, 0, 1, 1, 0, 0]
    assert [game.player_is_black for game in games] == [True, False] * 3
    assert [game.seed for game in games] == [100, 100, 101, 101, 102, 102]
    assert {game.komi for game in games} == {7.0}


@pytest.mark.parametrize("num_games", [0, 1, 7, -2])
def test_games_come_in_pairs(num_games):
    with pytest.raises(UsageError, match="an even number"):
        plan_games(OPENINGS, num_games, komi=7.0)


def played(number, ending, claims=(None, None)):
    game = plan_games(OPENINGS, 2, komi=7.0)[number]
    return played_game(game, ending, names=("Ann", "Bob"), moves=b"", claims=claims)


@pytest.mark.parametrize(
    "ending, result, as_black",
    [
        (counted(Label.SCORE, 3.5), "B+3.5", 1.0),
        (counted(Label.CAP, -12.0), "W+12", 0.0),
        (counted(Label.SCORE, 0.0), "0", 0.5),
        (failed(Fault(Label.RESIGN, ""), WHITE), "B+R", 1.0),
        (failed(Fault(Label.TIME, "late"), BLACK), "W+T", 0.0),
        (failed(Fault(Label.ILLEGAL, "E5: occupied"), BLACK), "W+F", 0.0),
        (failed(Fault(Label.STALL, "late"), BLACK), "Void", None),
    ],
)
def test_a_result_as_sgf_writes_it_and_as_the_player_counts_it(ending, result, as_black):
    first, second = played(0, ending), played(1, ending)
    assert first.result == second.result == result
    assert first.score == as_black
    assert second.score == (None if as_black is None else 1 - as_black)


def test_names_claims_and_faults_go_by_color():
    first, second = (played(n, Ending(Label.SCORE, 0, 0.0), ("B+1", None)) for n in (0, 1))
    assert (first.black, first.white, first.claims) == ("Ann", "Bob", {"black": "B+1"})
    assert (second.black, second.white, second.claims) == ("Bob", "Ann", {"white": "B+1"})
    assert first.at_fault is None
    assert played(0, failed(Fault(Label.CRASH, "it broke"), WHITE)).at_fault == "white"
