"""Searches use the processor's kernels; builds never see them; another ScaNN is left alone."""

import ctypes
import ctypes.util
from dataclasses import replace

import numpy as np
import pytest

from retrieve_rl.retrieval import scann_kernels
from retrieve_rl.retrieval.scann_kernels import fastest_kernels

FULL = {"avx2", "fma", "avx512f", "avx512dq", "avx512bw"}


@pytest.fixture
def switches(monkeypatch):
    """switches(features): those found on a processor that can do these."""

    def of(features):
        monkeypatch.setattr(scann_kernels, "_features", lambda: features)
        return scann_kernels._switches.__wrapped__()

    return of


def test_they_are_on_during_a_search_only(make_scann, rng, monkeypatch):
    index = make_scann(rng.normal(size=(1500, 8)).astype(np.float32))
    switch, seen = ctypes.c_bool(False), []
    monkeypatch.setattr(scann_kernels, "_switches", lambda: (switch,))

    class Searcher:
        def search_batched_parallel(self, *arguments):
            seen.append(switch.value)
            return index.searcher.search_batched_parallel(*arguments)

    replace(index, searcher=Searcher()).search(np.zeros((2, 8), np.float32), 3)
    assert seen == [True] and not switch.value
    with pytest.raises(KeyError), fastest_kernels():
        raise KeyError
    assert not switch.value


def test_the_last_of_several_searches_turns_them_off(monkeypatch):
    switch = ctypes.c_bool(False)
    monkeypatch.setattr(scann_kernels, "_switches", lambda: (switch,))
    one, other = fastest_kernels(), fastest_kernels()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert switch.value
    other.__exit__(None, None, None)
    assert not switch.value


def test_a_processor_gets_the_kernels_it_can_run(make_scann, rng, switches):
    make_scann(rng.normal(size=(50, 8)).astype(np.float32))  # loads ScaNN
    assert [
        len(switches(features)) for features in (set(), {"avx2"}, FULL - {"avx512f"}, FULL)
    ] == [*(0, 0, 1, 2)]
    assert not any(switch.value for switch in switches(FULL)), (
        "this ScaNN asks the processor: scann_kernels can go"
    )


def test_another_scann_is_left_alone(monkeypatch, switches):
    monkeypatch.setattr(scann_kernels, "_MODULE", "ctypes")  # a module that is no such library
    monkeypatch.setattr(ctypes, "__file__", ctypes.util.find_library("c"))
    assert switches(FULL) == ()
    monkeypatch.setattr(scann_kernels, "_MODULE", "not.there")
    assert switches(FULL) == ()


@pytest.mark.parametrize("reorder", ["float32", "bfloat16", "int8"])
def test_all_kernels_find_the_same(make_scann, rng, monkeypatch, reorder):
    keys = rng.normal(size=(4000, 16)).astype(np.float32)
    index = make_scann(keys, reorder)
    fast = index.search(keys[:300], 10)
    monkeypatch.setattr(scann_kernels, "_switches", lambda: ())
    slow = index.search(keys[:300], 10)
    same = np.asarray(fast.indices) == np.asarray(slow.indices)
    assert same.mean() > 0.999  # a tie may fall the other way
    np.testing.assert_allclose(
        np.asarray(fast.distances)[same], np.asarray(slow.distances)[same], rtol=1e-4, atol=1e-4
    )
