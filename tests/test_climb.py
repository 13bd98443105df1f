"""The settings that the index benchmark compares, on a search whose recall is known."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from climb import System, climb, fastest


@pytest.fixture
def searched():
    """Settings in the order they were asked."""
    return []


@pytest.fixture
def system(searched):
    """Finds more the deeper it looks, and takes longer with both dials."""

    def search(setting):
        searched.append(setting)
        share = min(1.0, setting["depth"] / 100) * (0.9 if setting["candidates"] == 10 else 1.0)
        rows = np.arange(1000)[:, None]
        return setting["depth"] * setting["candidates"], np.where(rows < 1000 * share, rows, -1)

    return System("depth", (16, 32, 64, 128, 256), "candidates", (10, 50), search)


def recall(rows):
    return float(np.mean(rows >= 0))


def test_the_least_depth_that_finds_enough_is_found(system, searched):
    noted = climb(system, recall)
    (least,) = fastest(system, noted, 3)  # with ten candidates nothing finds enough
    assert least["setting"]["candidates"] == 50
    assert 95 <= least["setting"]["depth"] <= 97 and least["recall_at_10"] >= 0.95
    assert max(setting["depth"] for setting in searched) == 128  # which found more than enough


def test_of_two_that_find_enough_the_faster_comes_first(system):
    noted = climb(system._replace(rescorings=(60, 50)), recall)
    assert [one["setting"]["candidates"] for one in fastest(system, noted, 3)] == [50, 60]
    assert len(fastest(system, noted, 1)) == 1


def test_a_climb_ends_where_even_the_quickest_is_too_slow(searched):
    def search(setting):  # Many candidates find enough early, few never do and get slower.
        searched.append(setting)
        share = 0.96 if setting["candidates"] == 50 else min(0.9, setting["depth"] / 100)
        rows = np.arange(1000)[:, None]
        cost = setting["depth"] + setting["candidates"] / 10
        return cost, np.where(rows < 1000 * share + setting["depth"], rows, -1)

    climb(System("depth", (2, 4, 8, 16, 19), "candidates", (10, 50), search), recall)
    # 2 and 50 cost 7; 8 and 10 cost 9, more than a quarter slower: 16 is not tried.
    assert max(setting["depth"] for setting in searched) == 8
