"""Work spread over processes comes back in order, drawn as needed, and a death is an error."""

import operator
import os

import pytest

from retrieve_rl.errors import ResourceError
from retrieve_rl.processes import map_in_order, usable_cores

THIS_PROCESS = "__import__('os').getpid()"


def test_results_come_in_order():
    found = map_in_order(operator.neg, range(40), workers=2, doing="counting")
    assert list(found) == [-number for number in range(40)]


def test_one_worker_is_this_process():
    for workers, here in ((1, True), (2, False)):
        (process,) = map_in_order(eval, [THIS_PROCESS], workers=workers, doing="looking")
        assert (process == os.getpid()) is here


def test_items_are_drawn_as_they_are_needed():
    drawn = []
    items = (drawn.append(number) or number for number in range(1000))
    results = map_in_order(operator.neg, items, workers=2, doing="counting")
    assert next(results) == 0
    assert len(drawn) < 20
    results.close()


def test_a_dead_worker_is_an_error():
    with pytest.raises(ResourceError, match="a process reading games died"):
        list(map_in_order(os._exit, [1, 1, 1], workers=2, doing="reading games"))


def test_there_is_a_core():
    assert usable_cores() >= 1
