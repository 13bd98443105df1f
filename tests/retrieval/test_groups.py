"""Hidden groups and halves."""

import numpy as np

from retrieve_rl.retrieval.groups import second_half, without_groups, without_rows
from retrieve_rl.retrieval.neighbors import NO_GROUP, Neighbors

FOUND = Neighbors(
    np.array([[4, 2, 7], [5, -1, -1]], np.int32),
    np.array([[0.0, 1.0, 2.0], [0.5, np.inf, np.inf]], np.float32),
)


def test_listed_groups_are_passed_over():
    groups = np.array([[8, 9, 8], [NO_GROUP, 0, 0]])
    kept = without_groups(FOUND, groups, np.array([[8, 3], [NO_GROUP, NO_GROUP]]), 2)
    np.testing.assert_array_equal(kept.indices, [[2, -1], [5, -1]])
    np.testing.assert_array_equal(kept.distances, [[1.0, np.inf], [0.5, np.inf]])


def test_the_own_row_is_passed_over_wherever_it_stands():
    kept = without_rows(FOUND, np.array([2, 9]), 2)
    np.testing.assert_array_equal(kept.indices, [[4, 7], [5, -1]])


def test_more_may_be_asked_for_than_were_found():
    kept = without_rows(FOUND, np.array([4, 4]), 5)
    np.testing.assert_array_equal(kept.indices, [[2, 7, -1, -1, -1], [5, -1, -1, -1, -1]])


def test_halves_are_about_equal_and_keep_groups_together():
    groups = np.repeat(np.arange(2000), 3)
    half = second_half(groups, seed=0).reshape(2000, 3)
    assert np.all(half == half[:, :1])
    assert 900 < half[:, 0].sum() < 1100


def test_a_group_stays_in_its_half_when_others_come_and_another_seed_moves_it():
    some, more = np.arange(100), np.arange(500)
    np.testing.assert_array_equal(second_half(some, 1), second_half(more, 1)[:100])
    assert 20 < np.sum(second_half(some, 1) != second_half(some, 2)) < 80
