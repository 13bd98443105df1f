"""Intervals whose answer is known."""

import numpy as np
import pytest

from retrieve_rl.statistics import GroupResamples, bootstrap_interval


def test_constant_values_have_no_width():
    assert bootstrap_interval(np.full(5, 2.5)) == (2.5, 2.5)
    assert bootstrap_interval(np.array([7.0])) == (7.0, 7.0)


def test_as_wide_as_the_normal_distribution_says(rng):
    values = rng.normal(10.0, 2.0, 400)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_the_same_every_time_and_for_lists(rng):
    values = rng.normal(size=20)
    assert bootstrap_interval(values) == bootstrap_interval(values.tolist())


def test_no_values_no_interval():
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_interval([])


def test_whole_groups_are_drawn(rng):
    groups = np.repeat(np.arange(100), 30)
    level = rng.normal(0.0, 1.0, 100)
    told = GroupResamples(groups).mean(level[groups])
    assert told["low"] < told["mean"] < told["high"]
    assert told["mean"] == pytest.approx(level.mean())
    assert told["high"] - told["low"] == pytest.approx(2 * 1.96 * level.std() / 10, rel=0.1)
    alone = GroupResamples(np.arange(3000)).mean(level[groups])
    assert told["high"] - told["low"] > 4 * (alone["high"] - alone["low"])


def test_only_counted_rows_count_and_the_same_groups_are_drawn_again():
    resamples = GroupResamples(np.array(["a", "a", "b"]))
    values = np.array([1.0, np.nan, 3.0])
    told = resamples.mean(values, np.array([True, False, True]))
    assert told == {"mean": 2.0, "low": 1.0, "high": 3.0}
    assert resamples.mean(values, np.array([True, False, True])) == told
    nothing = resamples.mean(values, np.zeros(3, bool))
    assert nothing == {"mean": None, "low": None, "high": None}
