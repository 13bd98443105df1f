"""Intervals against values worked by hand, and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from retrieve_rl.study.intervals import (
    EPISODES_ONLY,
    T_OVER_SEEDS,
    NamedScores,
    Scores,
    interquartile_mean_over_tasks,
    interval_of_means,
    mean_over_tasks,
    paired_differences,
    scores_of,
)


def runs(*values):
    return [scores_of(each) for each in values]


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    found = interquartile_mean_over_tasks([runs([100.0, 2, 3, 4, 5, 6, 7, -50])])
    assert found.mean == 4.5  # of 3, 4, 5, 6
    assert found.low <= 4.5 <= found.high and found.of == EPISODES_ONLY
    pooled = [runs([1.0, 2.0], [3.0, 4.0]), runs([5.0, 6.0], [7.0, 100.0])]
    assert interquartile_mean_over_tasks(pooled) == (4.5, None, None, T_OVER_SEEDS)


def test_one_seed_is_the_plain_bootstrap_of_its_episodes(rng):
    values = rng.normal(10.0, 2.0, 60)
    found = mean_over_tasks([runs(values)])
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.of == EPISODES_ONLY and found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.08)


def test_seeds_are_student_t_over_their_means(rng):
    values = rng.normal(50.0, 5.0, (3, 20))
    found = mean_over_tasks([runs(*values)])
    expected = stats.ttest_1samp(values.mean(axis=1), 0.0).confidence_interval()
    assert found.of == T_OVER_SEEDS
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    # 12.706 is t at 0.975 with one degree of freedom; the standard error of 1 and 3 is 1.
    by_hand = mean_over_tasks([runs([1.0], [3.0])])
    assert (by_hand.low, by_hand.high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)
    assert interval_of_means([1.0, 3.0]) == by_hand
    assert interval_of_means([4.0]) == (4.0, None, None, EPISODES_ONLY)


def test_one_seed_in_some_task_leaves_an_interval_over_episodes():
    several = runs(*([float(seed), seed + 1.0] for seed in range(5)))
    assert mean_over_tasks([several]).of == T_OVER_SEEDS
    assert mean_over_tasks([runs([1.0, 2.0]), several]).of == EPISODES_ONLY


@pytest.mark.parametrize("seeds", [2, 5, 10])
def test_intervals_hold_the_mean_as_often_as_they_say(rng, seeds):
    """Runs that differ as much as their episodes do."""
    held = 0
    for _ in range(800):
        episodes = rng.normal(0.0, 1.0, (seeds, 1)) + rng.normal(0.0, 1.0, (seeds, 20))
        found = mean_over_tasks([runs(*episodes)])
        held += found.low <= 0.0 <= found.high
    assert held / 800 == pytest.approx(0.95, abs=4 * (0.05 * 0.95 / 800) ** 0.5)


def test_tasks_are_weighed_alike_with_the_freedom_of_welch(rng):
    first, second = rng.normal(10.0, 1.0, (3, 5)), rng.normal(20.0, 4.0, (4, 7))
    found = mean_over_tasks([runs(*first), runs(*second)])
    means = first.mean(axis=1), second.mean(axis=1)
    assert found.mean == pytest.approx((means[0].mean() + means[1].mean()) / 2)
    welch = stats.ttest_ind(*means, equal_var=False).confidence_interval()
    # The same variances and freedom as for a difference of the two; a mean of two is half a sum.
    assert found.high - found.low == pytest.approx((welch.high - welch.low) / 2)


def test_strata_keep_their_runs():
    """Tasks far apart do not widen an interval: none is ever drawn twice in place of another."""
    far = [runs(*([level] * 4 for _ in range(6))) for level in (0.0, 100.0)]
    assert mean_over_tasks(far)[:3] == (50.0, 50.0, 50.0)
    assert interquartile_mean_over_tasks(far).mean == 50.0


def test_an_episode_counts_for_its_positions():
    games = Scores(np.array([1.0, 6.0]), np.array([2.0, 8.0]))
    assert games.mean == 0.7 and games.values.tolist() == [0.5, 0.75]
    assert mean_over_tasks([[games]]).mean == 0.7


def test_differences_are_paired_by_seed_and_episode():
    def named(episodes, values):
        return NamedScores(episodes, scores_of(values))

    first = {0: named([7, 8, 9], [1.0, 2.0, 3.0]), 1: named([7], [5.0]), 2: named([7], [0.0])}
    second = {0: named([9, 7], [10.0, 20.0]), 1: named([8], [1.0]), 3: named([7], [0.0])}
    (only,) = paired_differences(first, second)
    assert only.totals.tolist() == [1.0 - 20.0, 3.0 - 10.0]
    assert paired_differences(first, first)[0].totals.tolist() == [0.0, 0.0, 0.0]


def test_games_that_count_differently_are_no_pair():
    mine = NamedScores(["a", "b"], Scores(np.array([3.0, 1.0]), np.array([4.0, 2.0])))
    theirs = NamedScores(["a", "b"], Scores(np.array([1.0, 1.0]), np.array([4.0, 3.0])))
    (less,) = paired_differences({0: mine}, {0: theirs})
    assert less.totals.tolist() == [2.0] and less.counts.tolist() == [4.0]


def test_pairing_cancels_what_episodes_share(rng):
    shared = rng.normal(0.0, 50.0, 40)
    mine, theirs = shared + 1.0 + rng.normal(0, 0.1, 40), shared
    (less,) = paired_differences(
        {0: NamedScores(range(40), scores_of(mine))}, {0: NamedScores(range(40), scores_of(theirs))}
    )
    found = mean_over_tasks([[less]])
    assert found.low > 0.9 and found.high < 1.1


@pytest.mark.parametrize("tasks", [[], [[]], [[scores_of([])]], [runs([1.0]), []]])
def test_nothing_has_no_interval(tasks):
    for function in (mean_over_tasks, interquartile_mean_over_tasks):
        with pytest.raises(ValueError, match="every task needs a run"):
            function(tasks)
