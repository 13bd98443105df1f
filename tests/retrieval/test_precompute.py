"""Neighbors of a whole set: never of the own group, by either rule; resumable."""

import numpy as np
import pytest

from retrieve_rl.errors import Interrupted, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval import precompute as precompute_module
from retrieve_rl.retrieval.groups import second_half
from retrieve_rl.retrieval.memory import search
from retrieve_rl.retrieval.precompute import open_neighbors, precompute_neighbors
from retrieve_rl.signals import StopRequest


@pytest.fixture
def keys(rng):
    return rng.normal(size=(240, 4)).astype(np.float32)


@pytest.fixture
def groups():
    return np.repeat(np.arange(24, dtype=np.int32), 10)


def precompute(memory, queries, out, stop=None, num_neighbors=5, **rule):
    return precompute_neighbors(
        memory,
        queries,
        num_neighbors,
        out,
        **rule,
        queries_sha256="q",
        reporter=Reporter(verbosity=-1),
        stop=stop or StopRequest(),
    )


def test_hidden_groups(make_memory_at, keys, groups, tmp_path):
    memory = make_memory_at("m", keys, groups=groups)
    found = precompute(memory, keys, tmp_path / "n", not_from=groups[:, None])
    direct = search(memory, memory.index, keys, 5, not_from=groups[:, None])
    np.testing.assert_array_equal(found.indices, direct.indices)
    np.testing.assert_array_equal(found.distances, direct.distances)
    assert not np.any(groups[found.indices] == groups[:, None])


def test_the_other_half(make_memory_at, keys, groups, tmp_path):
    half = second_half(groups, 0)
    memory = make_memory_at("m", keys, groups=groups, second_half=half)
    found = precompute(memory, keys, tmp_path / "n", second_half=half)
    assert np.all(half[found.indices] != half[:, None])
    distances = np.sum((keys[0] - keys) ** 2, axis=1)
    distances[half == half[0]] = np.inf
    np.testing.assert_array_equal(found.indices[0], np.argsort(distances)[:5])


def test_it_goes_on_where_it_was_stopped(make_memory_at, keys, groups, tmp_path, monkeypatch):
    monkeypatch.setattr(precompute_module, "_BATCH_ROWS", 50)
    memory = make_memory_at("m", keys, groups=groups)
    whole = precompute(memory, keys, tmp_path / "whole", not_from=groups[:, None])
    stop, batches = StopRequest(), []

    def stopping(*arguments, **options):
        batches.append(len(arguments[2]))
        stop.signal_number = 15 if len(batches) == 2 else None
        return search(*arguments, **options)

    monkeypatch.setattr(precompute_module, "search", stopping)
    with pytest.raises(Interrupted, match="100 of 240 rows are kept"):
        precompute(memory, keys, tmp_path / "n", stop, not_from=groups[:, None])
    stop.signal_number = None
    found = precompute(memory, keys, tmp_path / "n", not_from=groups[:, None])
    assert batches == [50, 50, 50, 50, 40]
    np.testing.assert_array_equal(found.indices, whole.indices)
    np.testing.assert_array_equal(open_neighbors(tmp_path / "n").indices, whole.indices)


def test_another_question_is_answered_anew(make_memory_at, keys, groups, tmp_path):
    memory = make_memory_at("m", keys, groups=groups)
    precompute(memory, keys, tmp_path / "n", not_from=groups[:, None])
    more = precompute(memory, keys, tmp_path / "n", not_from=groups[:, None], num_neighbors=7)
    assert more.indices.shape == (240, 7)
    other = precompute(memory, keys, tmp_path / "n", not_from=groups[:, None] * 0, num_neighbors=7)
    assert np.any(np.asarray(other.indices) != np.asarray(more.indices))


def test_one_rule_is_needed(make_memory_at, keys, groups, tmp_path):
    memory = make_memory_at("m", keys, groups=groups)
    half = second_half(groups, 0)
    for rules in ({}, {"not_from": groups[:, None], "second_half": half}):
        with pytest.raises(UsageError, match="either not_from or second_half"):
            precompute(memory, keys, tmp_path / "n", **rules)
