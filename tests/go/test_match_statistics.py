"""The numbers of a match: scores, intervals over openings, faults, and what players claimed."""

from types import SimpleNamespace

import numpy as np
import pytest

from retrieve_rl.artifacts import to_json
from retrieve_rl.errors import GateError
from retrieve_rl.go.cell import measurements
from retrieve_rl.go.endings import Fault, Label, counted, failed
from retrieve_rl.go.match_games import plan_games, played_game
from retrieve_rl.go.match_statistics import check_voids, elo, score_interval, summarize
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.points import BLACK, WHITE, moves_of
from retrieve_rl.study.intervals import NamedScores, Scores, paired_differences

OPENINGS = OpeningSet((moves_of("E5"), moves_of("C3"), moves_of("D4")))


def a_match(*endings, moves="E5 C3 pass pass", claims=(None, None)):
    games = plan_games(OPENINGS, len(endings), komi=7.0)
    moves = [moves] * len(games) if isinstance(moves, str) else moves
    return [
        played_game(game, ending, names=("Ann", "Bob"), moves=moves_of(text), claims=claims)
        for game, ending, text in zip(games, endings, moves, strict=True)
    ]


def by_points(margin):
    return counted(Label.SCORE, margin)


def by_fault(label, color):
    return failed(Fault(label, "a story"), color)


def measured(played):
    outcomes = [game.model_dump(mode="json") for game in played]
    return measurements(SimpleNamespace(outcomes=outcomes, summary={"measure": "score"}))


def scores_by_opening(played):
    columns = measured(played)
    totals, counts = np.array(columns.values["score"]), np.array(columns.counts)
    return NamedScores(columns.episodes, Scores(totals, counts))


def test_the_summary_of_a_match():
    told = summarize(
        a_match(
            by_points(3.0),  # Ann is Black and wins
            by_points(3.0),  # Ann is White and loses
            by_points(0.0),
            by_fault(Label.RESIGN, BLACK),  # Ann is White and wins
            by_fault(Label.TIME, BLACK),  # Ann is Black and loses
            by_fault(Label.CRASH, BLACK),  # Bob's engine is void
        )
    )
    assert (told["games"], told["void"], told["void_share"]) == (6, 1, 1 / 6)
    assert (told["wins"], told["draws"], told["losses"]) == (2, 1, 2)
    assert told["score"] == 0.5 and told["elo"] == 0.0
    assert told["by_color"] == {"black": 0.5, "white": 0.5}
    assert told["labels"] == {"crash": 1, "resign": 1, "score": 3, "time": 1}
    assert told["faults"] == {"player": {"time": 1}, "opponent": {"crash": 1}}
    assert told["distinct_games"] == 1 and told["mean_plies"] == 4.0
    to_json(told)


def test_a_match_without_a_game_that_counts():
    for told in (summarize([]), summarize(a_match(*[by_fault(Label.STALL, WHITE)] * 2))):
        assert told["score"] is None and told["score_interval"] is None and told["elo"] is None
        assert told["by_color"] == {"black": None, "white": None}
        to_json(told)


def test_distinct_games_are_counted_up_to_symmetry():
    texts = ("E5 C3 pass pass", "E5 G7 pass pass", "E5 C4 pass pass", "E5 C3 pass pass")
    assert summarize(a_match(*[by_points(1.0)] * 4, moves=texts))["distinct_games"] == 2


def test_claims_are_compared_with_the_referee():
    def compared(*claims, margin=3.0):
        ending = by_points(margin)
        return summarize(a_match(ending, ending, claims=claims))["final_score"]

    assert compared("B+3", "B+3.0") == {"agrees": 4}
    assert compared("B+5", None) == {"other_margin": 2}
    assert compared("W+3", "0") == {"other_winner": 4}
    assert compared("no idea", None) == {"other_winner": 2}
    assert compared("0", None, margin=0.0) == {"agrees": 2}
    assert compared(None, None) == {}


def test_the_interval_keeps_games_of_an_opening_together():
    # Ten openings that decide the game: one color wins it whoever has it.
    openings = np.repeat(np.arange(10), 2)
    assert score_interval(np.tile([1.0, 0.0], 10), openings) == [0.5, 0.5]
    low, high = score_interval(np.repeat([1.0, 0.0], 10), openings)
    assert low == pytest.approx(0.2, abs=0.05) and high == pytest.approx(0.8, abs=0.05)
    alone = score_interval(np.repeat([1.0, 0.0], 10), np.arange(20))
    assert alone[1] - alone[0] < high - low
    assert score_interval(np.ones(3), np.zeros(3, int)) == [1.0, 1.0]


def test_a_study_takes_all_games_from_an_opening_as_one():
    """Of three openings the first begins the fourth pair, too."""
    columns = measured(a_match(*[by_points(3.0)] * 7, by_points(-1.0)))
    assert (columns.episodes, columns.counts) == ([0, 1, 2], [4, 2, 2])
    assert columns.values == {"score": [3.0, 1.0, 1.0]}


def test_an_opening_is_paired_only_where_the_same_games_count():
    """In both matches Black wins every game; of the first opening each has one void."""
    void, won = by_fault(Label.CRASH, WHITE), by_points(3.0)
    first, second, third = (
        {0: scores_by_opening(a_match(*games))}
        for games in ((void, won, won, won), (won, void, won, won), (won, void, won, won))
    )
    (difference,) = paired_differences(first, second)
    assert difference.totals.tolist() == [0.0] and difference.counts.tolist() == [2]
    (difference,) = paired_differences(second, third)
    assert difference.counts.tolist() == [1, 2]


def test_the_interval_covers_the_truth():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        strength = np.repeat(rng.uniform(0.2, 1.0, 50), 2)
        scores = (rng.random(100) < strength).astype(float)
        low, high = score_interval(scores, np.repeat(np.arange(50), 2))
        inside += low <= 0.6 <= high
    assert 180 <= inside <= 199


def test_elo():
    assert elo(0.5) == 0.0 and elo(0.0) is None and elo(1.0) is None
    assert elo(0.75) == pytest.approx(190.85, abs=0.01) == -elo(0.25)


def test_too_many_voids_are_refused():
    void, fine = by_fault(Label.DESYNC, WHITE), by_points(1.0)
    check_voids(a_match(*[fine] * 38, void, void), remedy="try again")
    story = "4 of 40 games are void.*desync, a story; try again$"
    with pytest.raises(GateError, match=story) as error:
        check_voids(a_match(*[fine] * 36, *[void] * 4), remedy="try again")
    assert error.value.exit_code == 6
