"""Work spread over processes comes back in order, drawn as needed, and a death is an error."""

import operator
import os

import pytest

from retrieve_rl import processes
from retrieve_rl.errors import ResourceError
from retrieve_rl.processes import each_in_a_process, map_in_order, usable_cores

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


CORES = "sorted(__import__('os').sched_getaffinity(0))"


def each(items, function=eval, *, at_once=2, should_stop=lambda: False):
    started = []
    found = list(
        each_in_a_process(
            function, items, at_once=at_once, should_stop=should_stop, started=started.append
        )
    )
    assert {item for item, _ in found} <= set(started)
    return found


def test_every_item_has_a_process_and_its_share_of_the_cores():
    found = each([f"({CORES}, {THIS_PROCESS}, {number})" for number in range(3)])
    assert sorted(number for _, (_, _, number) in found) == [0, 1, 2]
    assert len({process for _, (_, process, _) in found} - {os.getpid()}) == 3
    share = max(1, usable_cores() // 2)
    assert all(len(cores) == share for _, (cores, _, _) in found)


@pytest.mark.parametrize(
    "cores, parts, shares",
    [
        ([0, 1, 2, 3], 2, [[0, 1], [2, 3]]),
        ([4, 6, 8], 2, [[4], [6]]),
        ([0, 1], 3, [[0], [1], [0]]),
        ([5], 1, [[5]]),
    ],
)
def test_cores_are_divided(monkeypatch, cores, parts, shares):
    monkeypatch.setattr(processes, "usable_core_numbers", lambda: cores)
    assert list(processes._shares(parts)) == shares


def test_a_process_that_dies_has_no_result_and_the_others_have():
    dying = "__import__('os')._exit(1)"
    assert dict(each([dying, "2", "3"])) == {dying: None, "2": 2, "3": 3}


def test_none_is_started_once_it_should_stop():
    assert each(["1", "2"], should_stop=lambda: True) == []


def test_libraries_have_the_threads_of_the_whole_machine():
    names = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    items = [f"__import__('os').environ['{name}']" for name in names]
    assert {result for _, result in each(items)} == {str(usable_cores())}
    assert "NPROC" not in os.environ
