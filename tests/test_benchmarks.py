"""The parts of the benchmarks that decide what a number means."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import growth
import product_rate
import turns


def test_a_curve_that_bends_upward_shows_it_between_its_largest_sizes():
    line = {10: 1.0, 1000: 400.0, 100: 10.0}  # tenfold, then fortyfold
    assert growth.last_slope(line) == pytest.approx(1.602, abs=0.001)
    assert growth.exponent(line) == pytest.approx(1.301, abs=0.001)
    in_proportion = {size: 3.0 * size for size in (1, 20, 300, 4000)}
    assert growth.slopes(keys=in_proportion) == pytest.approx(
        {"exponent_of_keys": 1.0, "last_slope_of_keys": 1.0}
    )


def test_the_limit_is_the_rate_of_the_fastest_product(monkeypatch):
    monkeypatch.setattr(product_rate, "PRODUCT_SIZES", (32, 64))
    assert product_rate.product_rate()() > 0


def test_a_busy_machine_is_refused():
    product_rate.refuse_busy([100.0, 120.0, 149.0])
    with pytest.raises(SystemExit, match="not written"):
        product_rate.refuse_busy([100.0, 120.0, 151.0])


def test_the_faster_of_two_is_told_by_the_median_after_a_warm_up():
    seconds = {"first": iter([0.1, 3.0, 2.0, 9.0]), "second": iter([9.0, 2.5, 9.0, 2.6])}
    timed = {name: lambda left=left: next(left) for name, left in seconds.items()}
    assert turns.fastest(timed) == "second"
