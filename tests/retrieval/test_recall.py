"""Recall is measured on the questions that will be asked."""

import numpy as np
import pytest

from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.groups import second_half
from retrieve_rl.retrieval.memory import open_memory, retrieve
from retrieve_rl.retrieval.quality import recall_at_k, true_neighbors
from retrieve_rl.retrieval.recall import RecallTest
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.sharded import Shard, ShardedIndex

LINE = np.array([[0.0], [10.0], [3.0], [4.0], [3.0]], np.float32)


def test_a_row_does_not_answer_itself(rng):
    keys = rng.normal(size=(300, 4)).astype(np.float32)
    test = RecallTest.draw(Rows(keys), num_queries=50).seeing(keys)
    assert len(test.rows) == 50 and not np.any(test.truth.indices == test.rows[:, None])
    assert test.recall(ExactIndex.build(keys)) == (1.0, 0.0)
    recall, error = test.recall(ExactIndex.build(keys[:150]))
    assert recall < 0.9 and 0 < error < 0.1


def test_the_truth_in_parts_is_that_of_the_whole(rng):
    keys = rng.normal(size=(300, 4)).astype(np.float32)
    order = rng.permutation(np.arange(100, 300))
    whole = RecallTest.draw(Rows(keys)).seeing(keys)
    parts = RecallTest.draw(Rows(keys)).seeing(keys[order], order).seeing(keys[:100])
    np.testing.assert_array_equal(parts.truth.indices, whole.truth.indices)


def test_the_report_of_one_row_is_finite():
    report = RecallTest.draw(Rows(LINE[:1])).seeing(LINE[:1]).report(ExactIndex.build(LINE[:1]))
    assert report["recall_at_10"] == 1.0 and report["distances"] == {"first": {}, "tenth": {}}


@pytest.fixture
def games(rng):
    """4,000 rows in 80 groups of 50, each near the others of its own group."""
    groups = np.repeat(np.arange(80), 50)
    keys = rng.normal(size=(80, 16))[groups] + 0.2 * rng.normal(size=(4000, 16))
    return Rows(keys.astype(np.float32), groups=groups + 2**40)


def test_a_row_of_a_group_does_not_meet_its_own(games):
    order = np.random.default_rng(0).permutation(len(games.keys))
    test = RecallTest.draw(games, 50).seeing(games.keys[order[:999]], order[:999])
    test = test.seeing(games.keys[order[999:]], order[999:])
    own = games.groups[test.rows][:, None]
    assert not np.any(games.groups[test.truth.indices] == own)
    everything = np.sum((test.queries[:, None] - games.keys[None]) ** 2, axis=-1)
    everything[own == games.groups[None]] = np.inf
    np.testing.assert_allclose(test.truth.distances, np.sort(everything, axis=1)[:, :11], rtol=1e-4)
    assert test.recall(ExactIndex.build(games.keys)) == (1.0, 0.0)


def test_a_row_of_a_half_asks_the_other(games):
    half = second_half(games.groups, 0)
    test = RecallTest.draw(games._replace(second_half=half), 50).seeing(games.keys)
    assert np.all(half[test.truth.indices] != half[test.rows][:, None])
    members = [np.flatnonzero(half == bool(number)).astype(np.int32) for number in (0, 1)]
    shards = [Shard(ExactIndex.build(games.keys[rows]), rows, n) for n, rows in enumerate(members)]
    assert test.recall(ShardedIndex(tuple(shards))) == (1.0, 0.0)
    swapped = [
        Shard(ExactIndex.build(games.keys[rows]), rows, 1 - n) for n, rows in enumerate(members)
    ]
    assert test.recall(ShardedIndex(tuple(swapped)))[0] < 0.05


@pytest.mark.parametrize("halves", [False, True])
def test_what_is_reported_is_what_a_caller_gets(games, make_memory_at, tmp_path, halves):
    """Not hidden, the rows of its own group would be a row's neighbors, all in one leaf."""
    half = second_half(games.groups, 0) if halves else None
    memory = make_memory_at(
        "m", games.keys, groups=games.groups, second_half=half, kind="scann", wanted_recall=0.9
    )
    asked = games.keys[::9]
    own = games.groups[::9]
    if halves:
        rows = np.flatnonzero(~half[::9])
        found = memory.half(1).search(asked[rows], 10)
        kept = np.flatnonzero(half)
    else:
        rows = np.flatnonzero(own == own[0])
        found, _ = retrieve(memory, asked[rows], 10, not_from=own[rows][:, None])
        kept = np.flatnonzero(games.groups != own[0])
    truth = true_neighbors(games.keys[kept], asked[rows], 10)
    truth = truth._replace(indices=kept[truth.indices])
    recall = recall_at_k(found, truth, games.keys, asked[rows])
    reported = open_memory(tmp_path / "m").manifest.metadata["report"]["recall_at_10"]
    assert reported >= 0.9 and recall == pytest.approx(reported, abs=0.1)


def test_groups_that_are_most_of_the_index_are_not_hidden(games, make_memory_at, tmp_path):
    """To hide one, most of the index would be fetched; of a single one there would be no answer."""
    whole = games._replace(groups=np.zeros(4000, int))
    halves = games._replace(groups=np.repeat([0, 1], 2000))
    for rows in (whole, halves):
        assert RecallTest.draw(rows).asks == "other rows" and RecallTest.draw(rows).apart is None
    assert RecallTest.draw(games).asks == "other groups"
    make_memory_at("m", games.keys, groups=whole.groups, kind="scann", wanted_recall=0.9)
    report = open_memory(tmp_path / "m").manifest.metadata["report"]
    assert report["recall_asks"] == "other rows" and 0.9 <= report["recall_at_10"] < 1.0
