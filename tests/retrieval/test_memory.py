"""Memories on disk: values, hidden groups, halves, growth, and what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, Interrupted, ResourceError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval import build as build_module
from retrieve_rl.retrieval import resources, shard_builds
from retrieve_rl.retrieval.build import (
    IndexOptions,
    add_to_memory,
    build_memory,
    descends_from,
    plan,
)
from retrieve_rl.retrieval.groups import second_half
from retrieve_rl.retrieval.memory import open_memory, retrieve
from retrieve_rl.retrieval.rows import Rows, bytes_beside_keys
from retrieve_rl.signals import StopRequest

SILENT = Reporter(verbosity=-1)
KINDS = ["exact", "scann"]


def build(rows, out, stop=None, force=False, **options):
    return build_memory(
        rows,
        out,
        IndexOptions(**options),
        reporter=SILENT,
        stop=stop or StopRequest(),
        force=force,
    )


def add(parent, rows, out):
    return add_to_memory(parent, rows, out, reporter=SILENT, stop=StopRequest())


@pytest.fixture
def games(rng):
    """1,500 rows in 100 groups, near the others of their own group."""
    groups = np.repeat(np.arange(100, dtype=np.int32), 15)
    keys = rng.normal(size=(100, 6))[groups] + 0.1 * rng.normal(size=(1500, 6))
    values = {"row": np.arange(1500), "board": rng.integers(0, 3, (1500, 4)).astype(np.int8)}
    return Rows(keys.astype(np.float32), values, groups)


@pytest.mark.parametrize("kind", KINDS)
def test_values_come_with_their_neighbors(games, tmp_path, kind):
    build(games, tmp_path / "m", kind=kind, shard_rows=600)
    neighbors, values = retrieve(open_memory(tmp_path / "m"), games.keys[:20], 3)
    np.testing.assert_array_equal(neighbors.indices[:, 0], np.arange(20))
    np.testing.assert_array_equal(values["row"], neighbors.indices)
    np.testing.assert_array_equal(values["board"], games.values["board"][neighbors.indices])


@pytest.mark.parametrize("kind", KINDS)
def test_shards_hold_every_row_once_in_equal_parts(games, tmp_path, kind):
    report = build(games, tmp_path / "m", kind=kind, shard_rows=700)
    shards = open_memory(tmp_path / "m").index.shards
    assert [(shard.rows, shard.index.num_keys) for shard in shards] == [
        (0, 500),
        (500, 500),
        (1000, 500),
    ]
    assert report["recall_at_10"] >= 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_never_meets_its_own_group(games, tmp_path, kind):
    build(games, tmp_path / "m", kind=kind)
    memory = open_memory(tmp_path / "m")
    neighbors, _ = retrieve(memory, games.keys, 12, not_from=games.groups[:, None])
    assert np.all(neighbors.indices >= 0)
    assert not np.any(games.groups[neighbors.indices] == games.groups[:, None])


def test_hiding_groups_gives_what_exact_search_without_them_gives(games, tmp_path):
    build(games, tmp_path / "m", kind="exact")
    memory = open_memory(tmp_path / "m")
    hidden = np.array([[0, 1], [5, -1]])
    neighbors, _ = retrieve(memory, games.keys[:2], 40, not_from=hidden)
    for row, groups in enumerate(hidden):
        distances = np.sum((games.keys - games.keys[row]) ** 2, axis=1)
        distances[np.isin(games.groups, groups)] = np.inf
        np.testing.assert_array_equal(neighbors.indices[row], np.argsort(distances)[:40])


def test_groups_are_hidden_from_all_shards_alike(games, tmp_path):
    """ScaNN shards are asked for more rows, exact ones leave the groups out: one answer."""
    build(games, tmp_path / "scann", kind="scann", wanted_recall=1.0, reorder="float32")
    wide = (games.groups.astype(np.int64) + 2**40)[:300]
    more = {name: column[:300] for name, column in games.values.items()}
    new = Rows(games.keys[:300] + np.float32(0.01), more, wide)
    report = add(tmp_path / "scann", new, tmp_path / "grown")
    assert report["added_recall_at_10"] == 1.0
    memory = open_memory(str(tmp_path / "grown"))
    assert [shard.groups is None for shard in memory.index.shards] == [True, False]
    groups = np.concatenate([games.groups, wide])
    keys = np.concatenate([games.keys, new.keys])
    hidden = np.stack([games.groups[:50], wide[:50]], axis=1)
    neighbors, _ = retrieve(memory, games.keys[:50], 20, not_from=hidden)
    for row, own in enumerate(hidden):
        distances = np.sum((keys - keys[row]) ** 2, axis=1)
        distances[np.isin(groups, own)] = np.inf
        reach = np.sort(distances)[19] * 1.001
        assert np.mean(distances[neighbors.indices[row]] <= reach) >= 0.9  # ScaNN may miss one
        new = np.flatnonzero(distances < 0.98 * reach)
        assert set(new[new >= 1500]) <= set(neighbors.indices[row])


def test_groups_of_another_width_stay_the_numbers_they_are(games, tmp_path):
    build(games._replace(groups=games.groups.astype(np.int8)), tmp_path / "m")
    far = Rows(
        games.keys[:5] + np.float32(9),
        {k: v[:5] for k, v in games.values.items()},
        np.full(5, 1000),
    )
    add(tmp_path / "m", far, tmp_path / "n")
    memory = open_memory(tmp_path / "n")
    assert memory.groups.take(np.array([0, 1504])).tolist() == [0, 1000]
    found, _ = retrieve(memory, far.keys, 3, not_from=np.full((5, 1), 1000))
    assert np.all(found.indices < 1500)


def test_large_unsigned_groups_are_told_apart(games, tmp_path):
    big = games.groups.astype(np.uint64) + np.uint64(2**60)
    build(games._replace(groups=big), tmp_path / "m")
    add(tmp_path / "m", games._replace(groups=big.astype(np.int64)), tmp_path / "n")
    memory = open_memory(tmp_path / "n")
    own = big[:40].astype(np.int64)[:, None]
    found, _ = retrieve(memory, games.keys[:40], 5, not_from=own)
    assert not np.any(memory.groups.take(np.asarray(found.indices)) == own)
    assert len(np.unique(memory.groups.take(np.arange(3000)))) == 100


def test_many_rows_added_to_an_exact_memory_are_tuned(tmp_path, rng, monkeypatch):
    monkeypatch.setattr("retrieve_rl.retrieval.index.EXACT_UP_TO", 2000)
    build(Rows(rng.normal(size=(500, 12)).astype(np.float32)), tmp_path / "m", wanted_recall=0.9)
    new = Rows(rng.normal(size=(6000, 12)).astype(np.float32))
    report = add(tmp_path / "m", new, tmp_path / "n")
    assert report["recall_at_10"] == 1.0 and 0.9 <= report["added_recall_at_10"] < 1.0
    old, added = open_memory(tmp_path / "n").index.shards
    assert added.rows == 500 and added.index.num_keys == 6000 and old.index.num_keys == 500


@pytest.mark.parametrize(
    "queries, not_from, message",
    [
        (np.zeros(6, np.float32), None, r"queries have shape \(6,\)"),
        (np.zeros((2, 5), np.float32), None, "keys have width 6, queries 5"),
        (np.zeros((2, 6)), np.zeros(2, int), r"not_from has shape \(2,\); expected \[2, G\]"),
        (np.zeros((2, 6)), np.zeros((3, 1), int), r"not_from has shape \(3, 1\)"),
    ],
)
def test_questions_of_another_shape_are_refused(games, tmp_path, queries, not_from, message):
    build(games, tmp_path / "m")
    with pytest.raises(ValueError, match=message):
        retrieve(open_memory(tmp_path / "m"), queries, 2, not_from=not_from)


@pytest.mark.parametrize("not_from", [None, np.zeros((2, 1), int)])
@pytest.mark.parametrize("kind", KINDS)
def test_no_neighbors_cannot_be_asked_for(games, tmp_path, kind, not_from):
    build(games, tmp_path / "m", kind=kind)
    with pytest.raises(ValueError, match="num_neighbors must be at least 1, found 0"):
        retrieve(open_memory(tmp_path / "m"), games.keys[:2], 0, not_from=not_from)


def test_a_version_does_not_go_into_the_one_it_grows_from(games, tmp_path):
    build(games, tmp_path / "m")
    with pytest.raises(UsageError, match="is inside of"):
        add(tmp_path / "m", games, tmp_path / "m" / "v2")
    open_memory(tmp_path / "m")


def test_a_broken_off_build_goes_on_where_only_its_rest_has_room(games, tmp_path, monkeypatch):
    break_off(games, tmp_path / "m", 2, shard_rows=500)
    kept = resources.bytes_in(tmp_path / ".m.shards")
    need = resources.need_of(1500, 6, "exact", "float32", value_bytes=bytes_beside_keys(games))
    assert 0 < kept < need.disk

    def disk(_):
        return SimpleNamespace(free=room)

    monkeypatch.setattr(resources.shutil, "disk_usage", disk)
    room = need.disk - kept - 1
    with pytest.raises(ResourceError, match="are free"):
        build(games, tmp_path / "m", shard_rows=500)
    room += 1
    report = build(games, tmp_path / "m", shard_rows=500)
    room = 0
    assert build(games, tmp_path / "m", shard_rows=500) == report


def test_where_all_groups_are_hidden_nothing_is_found(tmp_path):
    rows = Rows(np.ones((30, 2), np.float32), {"v": np.arange(30.0)}, np.zeros(30, int))
    build(rows, tmp_path / "m")
    hidden = np.zeros((1, 1), int)
    neighbors, values = retrieve(open_memory(tmp_path / "m"), rows.keys[:1], 2, not_from=hidden)
    assert np.all(neighbors.indices == -1) and np.all(values["v"] == 0)


def test_each_half_holds_its_own_groups(games, tmp_path):
    half = second_half(games.groups, 0)
    build(games._replace(second_half=half), tmp_path / "m", shard_rows=300)
    memory = open_memory(tmp_path / "m")
    assert memory.half(0).num_keys == np.sum(~half)
    for number in (0, 1):
        rows = memory.half(number).search(games.keys, 5).indices
        assert np.all(half[rows] == bool(number))
    whole, _ = retrieve(memory, games.keys, 1)
    np.testing.assert_array_equal(whole.indices[:, 0], np.arange(1500))


def test_a_memory_without_halves_or_groups_says_so(games, tmp_path):
    build(games._replace(groups=None), tmp_path / "m")
    memory = open_memory(tmp_path / "m")
    with pytest.raises(DataError, match="no half 1"):
        memory.half(1)
    with pytest.raises(DataError, match="no groups to hide"):
        retrieve(memory, games.keys[:1], 1, not_from=np.zeros((1, 1), int))


@pytest.mark.parametrize("kind", KINDS)
def test_added_rows_are_found_and_the_old_version_stays(games, tmp_path, rng, kind):
    build(games, tmp_path / "old", kind=kind)
    before = artifacts.verify(tmp_path / "old")
    new = rng.normal(size=(30, 6)).astype(np.float32) + 20
    values = {"row": np.arange(1500, 1530), "board": np.ones((30, 4), np.int8)}
    report = add(tmp_path / "old", Rows(new, values, np.full(30, 100, np.int32)), tmp_path / "new")
    assert report["num_keys"] == 1530 and report["added_rows"] == 30
    old, grown = open_memory(tmp_path / "old"), open_memory(tmp_path / "new")
    assert old.manifest == before and old.index.num_keys == 1500
    neighbors, found = retrieve(grown, np.concatenate([new[:5], games.keys[:5]]), 2)
    np.testing.assert_array_equal(neighbors.indices[:, 0], [*range(1500, 1505), *range(5)])
    np.testing.assert_array_equal(found["row"], neighbors.indices)
    assert descends_from(grown.manifest, before.digest)
    assert not descends_from(old.manifest, grown.manifest.digest)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_added_without_halves_are_in_neither(games, tmp_path, kind):
    """The halves are of a training that is over; a handful of rows joins the whole."""
    half = second_half(games.groups, 0)
    build(games._replace(second_half=half), tmp_path / "old", kind=kind)
    new = games.keys[:3] + np.float32(50)
    values = {name: column[:3] for name, column in games.values.items()}
    rows = Rows(new, values, np.full(3, 100, np.int32))
    sources = {"records": "1" * 64}
    add_to_memory(
        tmp_path / "old",
        rows,
        tmp_path / "new",
        made_from=sources,
        reporter=SILENT,
        stop=StopRequest(),
    )
    old, grown = open_memory(tmp_path / "old"), open_memory(tmp_path / "new")
    assert grown.manifest.made_from["records"] == "1" * 64
    found, _ = retrieve(grown, new, 2)
    np.testing.assert_array_equal(found.indices[:, 0], [1500, 1501, 1502])
    for number in (0, 1):
        before, after = (memory.half(number).search(games.keys, 5) for memory in (old, grown))
        np.testing.assert_array_equal(before.indices, after.indices)
        np.testing.assert_array_equal(before.distances, after.distances)


def test_versions_share_files_and_outlive_each_other(games, tmp_path):
    build(games, tmp_path / "0")
    for number in (1, 2):
        add(tmp_path / str(number - 1), games, tmp_path / str(number))
    shared = [tmp_path / name / "shards/00000/index/keys.npy" for name in "012"]
    assert len({path.stat().st_ino for path in shared}) == 1
    artifacts.remove(tmp_path / "0")
    artifacts.remove(tmp_path / "1")
    (tmp_path / "2").rename(tmp_path / "moved")
    memory = open_memory(tmp_path / "moved")
    assert memory.index.num_keys == 4500 and len(memory.manifest.metadata["ancestors"]) == 2


@pytest.mark.parametrize(
    "change, message",
    [
        ({"keys": np.ones((1500, 5), np.float32)}, "width 5, the memory 6"),
        ({"values": {}}, r"new values are \[\]"),
        ({"values": {"row": np.zeros(1500), "board": np.zeros((1500, 4), np.int8)}}, "float64"),
        ({"groups": None}, "give groups"),
        ({"second_half": np.arange(1500) % 2 == 0}, "give halves"),
    ],
)
def test_rows_that_do_not_fit_are_not_added(games, tmp_path, change, message):
    build(games, tmp_path / "m")
    with pytest.raises(DataError, match=message):
        add(tmp_path / "m", games._replace(**change), tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_a_version_does_not_overwrite(games, tmp_path):
    build(games, tmp_path / "m")
    with pytest.raises(UsageError, match="choose another --out"):
        add(tmp_path / "m", games, tmp_path / "m")


def test_of_two_versions_under_one_name_the_later_is_refused(games, tmp_path, monkeypatch):
    build(games, tmp_path / "m")
    other, ours = (games._replace(keys=games.keys + np.float32(part)) for part in (1, 2))
    choose = build_module.choose

    def choose_late(*arguments):
        monkeypatch.setattr(build_module, "choose", choose)
        add(tmp_path / "m", other, tmp_path / "n")
        return choose(*arguments)

    monkeypatch.setattr(build_module, "choose", choose_late)
    with pytest.raises(UsageError, match="other rows"):
        add(tmp_path / "m", ours, tmp_path / "n")
    found = retrieve(open_memory(tmp_path / "n"), other.keys[:1], 1)[0]
    assert found.indices[0, 0] == 1500


def test_a_memory_that_is_replaced_while_it_grows_makes_no_mixture(games, tmp_path, monkeypatch):
    build(games, tmp_path / "m")
    other = games._replace(keys=games.keys + np.float32(1))
    choose = build_module.choose

    def replace_first(*arguments):
        monkeypatch.setattr(build_module, "choose", choose)
        build(other, tmp_path / "m", force=True)
        return choose(*arguments)

    monkeypatch.setattr(build_module, "choose", replace_first)
    with pytest.raises(DataError, match="was replaced while rows were added"):
        add(tmp_path / "m", other, tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_the_limit_of_a_container_is_seen(tmp_path):
    files = {"memory.max": "5000", "memory.current": "3000", "memory.stat": "inactive_file 400\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert list(resources._left_of_cgroups(tmp_path)) == [2400.0]
    (tmp_path / "memory.max").write_text("max\n")
    assert list(resources._left_of_cgroups(tmp_path)) == []


def test_hidden_groups_are_found_out_a_few_queries_at_once(games, tmp_path, monkeypatch):
    build(games, tmp_path / "m", kind="scann")
    memory = open_memory(tmp_path / "m")
    asked = (games.keys[:200], 20, games.groups[:200, None])
    whole, _ = retrieve(memory, asked[0], asked[1], not_from=asked[2])
    monkeypatch.setattr("retrieve_rl.retrieval.over_fetch._FETCHED_AT_ONCE", 1000)
    parts, _ = retrieve(memory, asked[0], asked[1], not_from=asked[2])
    np.testing.assert_array_equal(parts.indices, whole.indices)


def test_a_version_is_made_once(games, tmp_path):
    build(games, tmp_path / "m")
    report = add(tmp_path / "m", games, tmp_path / "n")
    assert add(tmp_path / "m", games, tmp_path / "n") == report
    with pytest.raises(UsageError, match="other rows"):
        add(tmp_path / "m", games._replace(keys=games.keys + np.float32(1)), tmp_path / "n")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"keys": np.ones(4, np.float32)}, r"shape \(4,\); expected \[rows, width\]"),
        ({"keys": np.ones((4, 2))}, "float64; expected float32"),
        ({"keys": np.ones((0, 2), np.float32)}, "at least one row"),
        ({"keys": np.array([[1, 2], [np.nan, 1]], np.float32)}, "not finite in row 1"),
        ({"values": {"v": np.zeros(3)}}, r"values 'v' have shape \(3,\); expected 4 rows"),
        ({"values": {"../v": np.zeros(4)}}, "value name"),
        ({"values": {"v": np.array([{}] * 4)}}, "hold object; expected numbers"),
        ({"values": {"v": np.zeros(4, "M8[D]")}}, "datetime64.* expected numbers"),
        ({"groups": np.zeros(3, int)}, "groups have shape"),
        ({"groups": np.zeros(4)}, "whole numbers"),
        ({"groups": np.array([0, 2**63, 0, 0], np.uint64)}, "in row 1; expected less than 2"),
        ({"second_half": np.zeros(4, bool)}, "all rows are in one half"),
        ({"second_half": np.array([0, 1, 2, 0])}, "int64; expected bool"),
        ({"keys": np.full((4, 2), 1e16, np.float32)}, "is too large in row 0"),
    ],
)
def test_bad_rows_are_refused_before_anything_is_written(tmp_path, change, message):
    rows = Rows(np.ones((4, 2), np.float32))._replace(**change)
    with pytest.raises(DataError, match=message):
        build(rows, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_the_same_build_is_not_done_twice_and_another_one_is_refused(games, tmp_path, monkeypatch):
    report = build(games, tmp_path / "m")
    monkeypatch.setattr(shard_builds.ShardBuilds, "run", lambda *_: pytest.fail("built again"))
    assert build(games, tmp_path / "m") == report
    with pytest.raises(UsageError, match="other rows or options"):
        build(games, tmp_path / "m", wanted_recall=0.9)
    with pytest.raises(UsageError, match="other rows or options"):
        build(games._replace(keys=games.keys + 1), tmp_path / "m")


def test_a_folder_of_something_else_is_not_taken_for_an_index(games, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="must be an index.*choose another --out"):
        build(games, tmp_path / "m")
    assert (tmp_path / "m" / "thesis.tex").exists()


@pytest.mark.parametrize("shard_rows", [0, -5])
def test_shards_have_rows(games, tmp_path, shard_rows):
    with pytest.raises(ValueError, match="shard_rows must be at least 1"):
        build(games, tmp_path / "m", shard_rows=shard_rows)


class StopsAfter(Reporter):
    """Asks to stop while shard `number` is built; keeps what was said."""

    def __init__(self, stop, number):
        super().__init__(verbosity=-1)
        self.stop, self.number, self.built = stop, number, []

    def say(self, text):
        if text.startswith("building shard"):
            self.built.append(text)
            if len(self.built) == self.number:
                self.stop.signal_number = 15


@pytest.mark.parametrize("kind", KINDS)
def test_two_builds_of_the_same_rows_are_the_same_memory(games, tmp_path, kind):
    reports = [build(games, tmp_path / name, kind=kind) for name in ("one", "other")]
    one, other = (open_memory(tmp_path / name).manifest for name in ("one", "other"))
    assert reports[0]["build_seconds"] != reports[1]["build_seconds"]
    assert one.digest == other.digest


def break_off(rows, out, after, **options):
    """Builds until so many shards are whole; returns what was said."""
    stop = StopRequest()
    reporter = StopsAfter(stop, after)
    with pytest.raises(Interrupted, match=f"{after} of . shards are kept"):
        build_memory(rows, out, IndexOptions(**options), reporter=reporter, stop=stop)
    return reporter.built


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_build_goes_on_after_its_last_shard(games, tmp_path, kind):
    options = {"kind": kind, "shard_rows": 500}
    whole = build(games, tmp_path / "whole", **options)
    built = break_off(games, tmp_path / "m", 2, **options)
    rest = StopsAfter(StopRequest(), None)
    resumed = build_memory(
        games, tmp_path / "m", IndexOptions(**options), reporter=rest, stop=rest.stop
    )
    assert built + rest.built == [f"building shard {number} of 3" for number in (1, 2, 3)]
    assert resumed["recall_at_10"] == whole["recall_at_10"]
    files = [artifacts.read_manifest(tmp_path / name).files for name in ("whole", "m")]
    assert files[0] == files[1]
    assert not (tmp_path / ".m.shards").exists()


def test_shards_of_other_keys_are_not_taken_over(games, tmp_path):
    break_off(games, tmp_path / "m", 1, shard_rows=500)
    other = games._replace(keys=games.keys + 3)
    build(other, tmp_path / "m", shard_rows=500)
    neighbors, _ = retrieve(open_memory(tmp_path / "m"), other.keys, 1)
    np.testing.assert_allclose(neighbors.distances, 0.0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_shards_of_other_halves_are_not_taken_over(games, tmp_path, kind):
    """The same keys, broken off with one pair of halves and built with another."""
    one, other = (games._replace(second_half=second_half(games.groups, seed)) for seed in (1, 2))
    break_off(one, tmp_path / "m", 1, kind=kind, shard_rows=500)
    build(other, tmp_path / "m", kind=kind, shard_rows=500)
    memory = open_memory(tmp_path / "m")
    for number in (0, 1):
        rows = np.asarray(memory.half(number).search(games.keys, 5).indices)
        assert np.all(other.second_half[rows] == bool(number))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_a_query_that_is_not_finite_is_refused(games, tmp_path, kind, dtype, bad):
    build(games, tmp_path / "m", kind=kind)
    queries = games.keys[:3].astype(dtype)
    with np.errstate(over="ignore"):
        queries[2, 0] = bad
    with pytest.raises(DataError, match="query matrix is not finite in row 2"):
        retrieve(open_memory(tmp_path / "m"), queries, 2)


def test_a_changed_byte_is_noticed(games, tmp_path):
    build(games, tmp_path / "m", kind="scann")
    file = tmp_path / "m/shards/00000/index/hashed_dataset.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="hashed_dataset.npy has changed"):
        open_memory(tmp_path / "m")


def test_the_report_is_in_the_manifest(games, tmp_path):
    report = build(games, tmp_path / "m", kind="scann", shard_rows=800)
    metadata = json.loads((tmp_path / "m" / "MANIFEST.json").read_text())["metadata"]
    assert {**metadata["report"], **metadata["timings"]} == report
    assert report["num_keys"] == 1500 and report["num_shards"] >= 2 and report["kind"] == "scann"
    assert report["recall_at_10"] >= report["wanted_recall"] == 0.95
    shards = sum(f.stat().st_size for f in (tmp_path / "m/shards").rglob("*") if f.is_file())
    assert report["bytes"] == shards and report["bytes_per_key"] == shards / 1500


@pytest.mark.parametrize("wanted", [0.6, 0.9, 0.99])
def test_a_wanted_recall_is_reached_and_costs_more(tmp_path, rng, wanted):
    rows = Rows(rng.normal(size=(6000, 12)).astype(np.float32))
    report = build(rows, tmp_path / "m", kind="scann", wanted_recall=wanted)
    assert wanted <= report["recall_at_10"] < min(1.0, wanted + 0.2) or wanted == 0.99
    assert report["recall_at_10"] >= wanted


def test_memory_and_disk_are_foreseen(games, tmp_path):
    foreseen = plan(games, IndexOptions(kind="scann", shard_rows=700))
    assert foreseen["kind"] == "scann" and foreseen["num_keys"] == 1500
    with pytest.raises(ResourceError, match="GiB of memory, 0.1 GiB are allowed"):
        build(games, tmp_path / "m", max_memory=0.1 * 2**30)
    report = build(games, tmp_path / "m")
    values = sum(f.stat().st_size for f in (tmp_path / "m").rglob("*") if f.is_file())
    assert plan(games, IndexOptions())["disk_gib"] * 2**30 == pytest.approx(values, rel=0.2)
    assert report["kind"] == "exact"


def test_keys_to_learn_from_are_foreseen_where_they_are_wide():
    """2.45 GiB at the peak were measured."""
    need = resources.need_of(100_000, 768, "scann", "bfloat16", value_bytes=0)
    assert 2.45 < need.memory / resources.GIB < 3


def test_where_no_search_finds_enough_the_most_thorough_one_is_kept(tmp_path, rng):
    """int8 cannot tell neighbors apart that differ by less than its steps."""
    keys = np.concatenate([rng.normal(size=(3000, 4)) * 1e-4, 100 * np.eye(4)])
    report = build(Rows(keys.astype(np.float32)), tmp_path / "m", kind="scann", reorder="int8")
    assert report["recall_at_10"] < report["wanted_recall"]
    (shard,) = open_memory(tmp_path / "m").index.shards
    assert shard.index.num_leaves_to_search == shard.index.parameters.num_leaves
    assert shard.index.reordering_num_neighbors == 2400
