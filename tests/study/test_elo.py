"""Ratings from scores: worked by hand, and infinite where somebody won everything."""

import pytest

from retrieve_rl.statistics import elo
from retrieve_rl.study.elo import elo_difference, elo_of
from retrieve_rl.study.intervals import EPISODES_ONLY, T_OVER_SEEDS, NamedScores, scores_of


def won(*scores):
    return NamedScores(range(len(scores)), scores_of(scores))


def test_by_hand():
    assert elo(0.75) == pytest.approx(190.85, abs=0.01) and elo(0.5) == 0.0
    assert elo_of({"mean": 0.75, "low": 0.5, "high": 1.0}) == {
        "mean": pytest.approx(190.85, abs=0.01),
        "low": 0.0,
        "high": None,
    }


def test_seeds_count_by_their_scores_not_by_their_ratings():
    """1.0, 0.75 and 0.5 are 0.75 in the mean; none of them is left out."""
    mine = {seed: won(*([1.0] * n + [0.0] * (4 - n))) for seed, n in enumerate((4, 3, 2))}
    theirs = {seed: won(1.0, 0.0, 1.0, 0.0) for seed in range(3)}
    found = elo_difference(mine, theirs)
    assert found["mean"] == pytest.approx(190.85, abs=0.01)
    # Scores 0.25 apart, 231.6 Elo by the tangent at 0.75; the standard error of three is theirs
    # over the root of three, and t with two degrees of freedom 4.3027.
    assert found["high"] - found["mean"] == pytest.approx(4.3027 * 231.62 / 3**0.5, abs=0.1)
    assert found["mean"] - found["low"] == pytest.approx(found["high"] - found["mean"])
    assert found["interval"] == T_OVER_SEEDS


def test_two_sides_that_always_won_are_level():
    both = {seed: won(1.0, 1.0) for seed in range(2)}
    found = elo_difference(both, both)
    assert (found["mean"], found["low"], found["high"]) == (0.0, 0.0, 0.0)


def test_what_both_share_cancels(rng):
    openings = rng.random(60)
    mine, theirs = won(*(0.8 * openings + 0.15)), won(*(0.8 * openings + 0.1))
    found = elo_difference({0: mine}, {0: theirs})
    assert found["interval"] == EPISODES_ONLY
    assert 25 < found["low"] < found["mean"] < found["high"] < 45
    alone = elo_of({"mean": 0.5, "low": 0.44, "high": 0.56})
    assert found["high"] - found["low"] < 0.2 * (alone["high"] - alone["low"])


def test_an_infinite_difference_is_none():
    assert elo_difference({0: won(1.0, 1.0)}, {0: won(0.0, 1.0)}) is None
    assert elo_difference({0: won(1.0)}, {1: won(1.0)}) is None
    nearly = elo_difference({0: won(*[1.0] * 9, 0.0)}, {0: won(*[1.0, 0.0] * 5)})
    assert nearly["high"] is None and nearly["low"] is not None
