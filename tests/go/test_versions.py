"""Games added to an index: found at once, the old version as it was, nothing trained."""

import re
import shutil

import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, Interrupted
from retrieve_rl.go import index as indexes
from retrieve_rl.go import train_encoder, versions
from retrieve_rl.go.add_games import add_games, determined_by
from retrieve_rl.go.additions import HELD_OUT, KNOWN, NOT_NEEDED, additions
from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.built import Built, open_built
from retrieve_rl.go.encoder import features
from retrieve_rl.go.games import Source, read_records
from retrieve_rl.go.index import make_index, memory_path, neighbors_of, neighbors_of_positions
from retrieve_rl.go.neighbor_inputs import neighbor_inputs, retrieval_set
from retrieve_rl.go.planes import neighbor_planes, outlooks
from retrieve_rl.go.played_positions import Played
from retrieve_rl.go.set_distances import distances_to_sets
from retrieve_rl.go.splits import ADDED, TEST, TRAINING
from retrieve_rl.go.versions import open_version, version_digest
from retrieve_rl.progress import Reporter
from retrieve_rl.results import Run, read_result, write_result
from retrieve_rl.retrieval.neighbors import NO_GROUP
from retrieve_rl.retrieval.pca import project
from retrieve_rl.signals import StopRequest

SILENT = Reporter(verbosity=-1)
PLIES = 40


def mirrored(text):
    """The same game, rows and columns of its moves swapped."""
    return re.sub(rb";([BW])\[(\w)(\w)\]", rb";\1[\3\2]", text)


def seed_in(data, part):
    """The number of a random game of one part: entry n of its file was made with seed n."""
    return int(data.store.games.entries[np.flatnonzero(data.split == part)[0]])


def answers(config, built, rows):
    return neighbors_of(config, built.data, built.encoder, built.index, rows)


def ask(config, built, positions, komi, hidden=NO_GROUP, count=3):
    return neighbors_of_positions(
        config,
        built.data,
        built.encoder,
        built.index,
        positions,
        komi=komi,
        hidden_games=np.broadcast_to(hidden, komi.shape),
        num_neighbors=count,
    )


@pytest.fixture(scope="module")
def own(go_config, go_index, go_run):
    """The config's own index, opened."""
    return open_built(go_config, go_run.root)


@pytest.fixture(scope="module")
def before(go_config, own, go_run):
    """What the own index answers and which bytes it has before anything is added."""
    rows = np.concatenate([own.data.rows_of(TEST)[:40], own.data.training_rows[:40]])
    files = [path for path in (go_run.root / "indexes").rglob("*") if path.is_file()]
    return rows, answers(go_config, own, rows), {path: artifacts.sha256_of(path) for path in files}


@pytest.fixture(scope="module")
def offered(tmp_path_factory, go_data, random_sgf):
    """A file of three new games, and of five that must not enter."""
    known, held_out = seed_in(go_data, TRAINING), seed_in(go_data, TEST)
    texts = [random_sgf(seed) for seed in (100, 101, 102)]
    texts += [random_sgf(known), mirrored(random_sgf(known)), mirrored(random_sgf(held_out))]
    texts += [random_sgf(110, header="KM[7]RE[Void]"), mirrored(random_sgf(100))]
    path = tmp_path_factory.mktemp("offered") / "played.sgf"
    path.write_bytes(b"".join(texts))
    return path


@pytest.fixture(scope="module")
def make_version(go_config, go_run, own, tmp_path_factory):
    """make_version(files, to=..., positions=...): the run that added them."""

    def make(*files, to=None, positions=None, run=None) -> Run:
        folder = tmp_path_factory.mktemp("version") if run is None else run.folder
        run = Run(folder, go_run.root, go_run.reporter, StopRequest())
        asked = additions(files, positions)
        write_result(folder, add_games(go_config, run, asked=asked, to=to))
        return run

    return make


@pytest.fixture(scope="module")
def grown_run(before, make_version, offered):
    return make_version(offered)


@pytest.fixture(scope="module")
def grown(go_config, own, grown_run):
    return open_version(go_config, own, grown_run.folder)


def test_only_new_games_enter(grown, own, grown_run):
    told = read_result(grown_run.folder)
    assert told.summary["games_added"] == 3 and told.summary["positions_added"] == 3 * PLIES
    assert told.summary["games_left_out"] == {
        KNOWN: 1,
        HELD_OUT: 1,
        "duplicate": 2,
        "no winner or draw recorded": 1,
    }
    data = grown.data
    new = data.store.games.select(data.split == ADDED)
    assert new.named(new.sources).tolist() == ["played.sgf"] * 3
    assert new.entries.tolist() == [0, 1, 2]
    groups = grown.index.memory.groups.take(np.arange(len(data.retrieval_rows)))
    np.testing.assert_array_equal(groups, data.store.positions.games[data.retrieval_rows])
    assert np.isin(data.split[groups], (TRAINING, ADDED)).all()
    assert len(data.retrieval_rows) == len(own.data.training_rows) + 3 * PLIES
    assert data.facts == own.data.facts


def test_the_old_version_is_what_it_was_bit_for_bit(go_config, own, grown, before, go_run):
    rows, answered, digests = before
    assert {path: artifacts.sha256_of(path) for path in digests} == digests
    again = answers(go_config, open_built(go_config, go_run.root), rows)
    for one, other in zip(answered, again, strict=True):
        np.testing.assert_array_equal(one, other)
    training = np.arange(len(own.data.training_rows))
    np.testing.assert_array_equal(
        grown.index.memory.values["rows"].take(training), own.data.training_rows
    )
    files, old = grown.index.memory.manifest.files, own.index.memory.manifest.files
    assert {name: files[name] for name in old} == old


def test_nothing_is_trained(go_config, grown, own, go_run, grown_run):
    assert grown.encoder.digest == own.encoder.digest
    assert grown.index.pca is own.index.pca
    assert read_result(grown_run.folder).retrieval["encoder"] == own.encoder.digest
    assert grown.index.memory.half(0).num_keys + grown.index.memory.half(1).num_keys == len(
        own.data.training_rows
    )


def test_training_code_is_not_reached(make_version, offered, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("something was fitted")

    monkeypatch.setattr(train_encoder, "_train", forbidden)
    monkeypatch.setattr(indexes, "fit_pca", forbidden)
    make_version(offered)


def test_an_added_position_is_found_at_once(go_config, own, grown):
    data = grown.data
    rows = data.rows_of(ADDED)
    positions, komi = data.store.positions.take(rows), data.komi(rows)
    found = ask(go_config, grown, positions, komi)
    np.testing.assert_allclose(found.distances[:, 0], 0.0, atol=1e-3)
    # Of random games the first positions have twins in other games, as near as themselves.
    assert np.mean((found.indices == rows[:, None]).any(axis=1)) > 0.9
    hidden = ask(go_config, grown, positions, komi, hidden=positions.games)
    assert (data.store.positions.games[hidden.indices] != positions.games[:, None]).all()
    old = ask(go_config, own, positions, komi)
    assert (hidden.distances[:, 0] <= old.distances[:, 0] + 1e-3).all()
    assert (old.distances[PLIES // 2 : PLIES, 0] > 0.02).all()


def test_the_network_is_shown_the_added_position_and_its_own_game(grown, offered):
    alone = read_records([Source(offered)], fraction=1.0, seed=0, workers=1, reporter=SILENT)
    (game,) = np.flatnonzero(alone.games.entries == 1)
    positions = alone.positions.take(alone.positions.games == game)
    expected = neighbor_planes(
        positions,
        outlooks(alone.games, positions),
        np.zeros(PLIES, int),
        np.ones(PLIES, bool),
    )
    data, known = grown.data, retrieval_set(grown.data)
    (row,) = data.store.games.find(alone.games.digests[[game]])
    assert data.split[row] == ADDED
    in_set = np.flatnonzero(known.positions.games == row)[:, None]
    nothing = np.zeros((PLIES, 1))
    found = TurnedNeighbors(in_set, nothing, nothing.astype(int))
    shown = neighbor_inputs(known, found, np.zeros(PLIES, int), 1.0)
    assert np.asarray(expected).any()
    np.testing.assert_array_equal(shown.planes[:, 0], expected)
    np.testing.assert_allclose(
        grown.index.take_keys(in_set[:, 0]),
        project(
            grown.index.pca,
            features(grown.encoder, "points", positions, alone.games.komi[positions.games]),
        ),
        atol=1e-4,
    )


def test_a_version_grows_again(
    go_config, own, grown, grown_run, make_version, random_sgf, tmp_path
):
    (tmp_path / "more").mkdir()
    for seed in (100, 120, 121):
        (tmp_path / "more" / f"{seed}.sgf").write_bytes(random_sgf(seed))
    run = make_version(tmp_path / "more", to=grown_run.folder)
    told = read_result(run.folder)
    assert told.summary["games_left_out"] == {KNOWN: 1} and told.summary["games_added"] == 2
    assert told.retrieval["parent_sha256"] == grown.index.memory.manifest.digest
    assert told.retrieval["own_sha256"] == own.index.memory.manifest.digest
    second = open_version(go_config, own, run.folder)
    data = second.data
    assert np.sum(data.split == ADDED) == 5
    first = grown.data.store.positions.num_positions
    for new, old in zip(data.store.positions, grown.data.store.positions, strict=True):
        np.testing.assert_array_equal(new[:first], old)
    np.testing.assert_array_equal(second.index.added_keys[: 3 * PLIES], grown.index.added_keys)
    rows = data.rows_of(ADDED)
    found = ask(go_config, second, data.store.positions.take(rows), data.komi(rows))
    assert np.mean(found.indices[:, 0] == rows) > 0.8
    assert open_version(go_config, own, grown_run.folder).data.split.sum() == grown.data.split.sum()


def test_so_many_positions_in_whole_games(go_config, own, make_version, random_sgf, tmp_path):
    path = tmp_path / "others.sgf"
    path.write_bytes(b"".join(random_sgf(seed) for seed in range(200, 206)))
    run = make_version(path, positions=100)
    told = read_result(run.folder)
    assert told.summary["positions_added"] == 100 and told.summary["games_added"] == 3
    assert told.summary["games_left_out"] == {NOT_NEEDED: 3}
    data = open_version(go_config, own, run.folder).data
    added = data.store.positions.take(data.rows_of(ADDED))
    counts = np.unique(added.games, return_counts=True)[1]
    assert sorted(counts.tolist()) == [20, 40, 40]
    for game in np.unique(added.games):
        plies = added.plies[added.games == game]
        np.testing.assert_array_equal(plies, np.arange(len(plies)))
    with pytest.raises(DataError, match="241 positions are asked for, the new games have 240"):
        make_version(path, positions=241)


def test_what_adds_nothing_is_refused(make_version, go_data, random_sgf, tmp_path):
    path = tmp_path / "held-out.sgf"
    path.write_bytes(random_sgf(seed_in(go_data, TEST)))
    with pytest.raises(DataError, match="no game is left to add .held out for validation or test"):
        make_version(path)
    with pytest.raises(DataError, match="is no file and no folder"):
        make_version(tmp_path / "nowhere.sgf")


def test_another_index_is_no_version(go_config, go_data, go_encoder, own, grown_run, make_run):
    keys = go_config.keys.model_copy(update={"dim": 4})
    other_config = go_config.model_copy(update={"keys": keys})
    other = Built(go_data, go_encoder, make_index(other_config, go_data, go_encoder, make_run()))
    with pytest.raises(DataError, match="has not grown from the index"):
        open_version(other_config, other, grown_run.folder)
    stranger = memory_path(other_config, other.index.folder)
    with pytest.raises(DataError, match="has not grown from the index"):
        open_version(go_config, own, stranger)
    own_path = memory_path(go_config, own.index.folder)
    assert open_version(go_config, own, own_path) is own
    with pytest.raises(DataError, match="is not an artifact"):
        open_version(go_config, own, grown_run.folder / "nowhere")


@pytest.mark.parametrize(
    "part", ["additions/games/komi.npy", "keys/keys.npy", "index/MANIFEST.json"]
)
def test_a_changed_or_foreign_part_is_noticed(
    go_config, own, grown_run, make_version, offered, tmp_path, part
):
    copy = tmp_path / "copy"
    shutil.copytree(grown_run.folder, copy)
    assert open_version(go_config, own, copy).added == copy
    damaged = bytearray((copy / part).read_bytes())
    damaged[-2] ^= 1
    (copy / part).write_bytes(damaged)
    with pytest.raises(DataError):
        open_version(go_config, own, copy)


def test_parts_of_another_version_are_noticed(
    go_config, own, grown_run, make_version, random_sgf, tmp_path
):
    (tmp_path / "other.sgf").write_bytes(b"".join(random_sgf(seed) for seed in (130, 131, 132)))
    other = make_version(tmp_path / "other.sgf")
    for number, parts in enumerate((["additions"], ["keys"], ["additions", "keys"])):
        mixed = tmp_path / f"mixed-{number}"
        shutil.copytree(grown_run.folder, mixed)
        for part in parts:
            shutil.rmtree(mixed / part)
            shutil.copytree(other.folder / part, mixed / part)
        with pytest.raises(DataError, match="parts of several versions"):
            open_version(go_config, own, mixed)


def test_what_was_broken_off_goes_on(
    go_config, own, make_version, offered, grown, make_run, monkeypatch
):
    run, add = make_run("broken"), versions.add_to_memory

    def broken(*_, **__):
        raise Interrupted("a signal came", 15)

    monkeypatch.setattr(versions, "add_to_memory", broken)
    with pytest.raises(Interrupted):
        make_version(offered, run=run)
    monkeypatch.setattr(versions, "add_to_memory", add)
    monkeypatch.setattr(versions, "read_additions", broken)
    make_version(offered, run=run)
    again = open_version(go_config, own, run.folder)
    np.testing.assert_array_equal(again.index.added_keys, grown.index.added_keys)


def test_the_result_tells_distances_before_and_after(grown_run, own, grown):
    told = read_result(grown_run.folder).retrieval
    assert told["parent_sha256"] == told["own_sha256"] == own.index.memory.manifest.digest
    assert told["sha256"] == grown.index.memory.manifest.digest != told["parent_sha256"]
    distances = told["distances"]
    assert set(distances) == {"test_to_old", "test_to_grown", "added_to_old", "added_to_grown"}
    for who in ("test", "added"):
        for level, old in distances[f"{who}_to_old"].items():
            assert distances[f"{who}_to_grown"][level] <= old + 1e-3
    assert distances["added_to_grown"]["q95"] > 0.1


def test_a_match_is_compared_with_both_sets(go_config, own, grown, go_run, random_sgf, tmp_path):
    def compared(record):
        path = tmp_path / "played.sgf"
        path.write_bytes(record)
        read = read_records([Source(path)], fraction=1.0, seed=0, workers=1, reporter=SILENT)
        asking = Played(read.positions, read.games.komi[read.positions.games])
        return distances_to_sets(go_config, own, grown, asking, go_run)

    told = compared(random_sgf(101))
    assert told["positions"] == PLIES
    # The first two boards are in the old set, too.
    assert told["found_among_added"]["all"] == (PLIES - 2) / PLIES
    assert told["to_grown"]["q95"] < 1e-2 < told["to_old"]["q50"]
    mirrored_game = compared(mirrored(random_sgf(101)))
    assert mirrored_game["found_among_added"] == told["found_among_added"]
    assert mirrored_game["to_grown"]["q50"] > 1e-2  # A policy that asks in one orientation.
    assert compared(random_sgf(300))["found_among_added"]["all"] == 0.0


def test_what_determines_a_version(grown_run, offered, random_sgf, tmp_path):
    whole = determined_by(additions([offered]), grown_run.folder, None)
    assert whole["parent"] == read_result(grown_run.folder).retrieval["sha256"]
    assert whole["parent"] == version_digest(grown_run.folder)
    (tmp_path / "a.sgf").write_bytes(random_sgf(1))
    variants = [
        whole,
        determined_by(additions([offered], 50), grown_run.folder, None),
        determined_by(additions([tmp_path / "a.sgf"]), grown_run.folder, None),
        determined_by(additions([offered, tmp_path / "a.sgf"]), grown_run.folder, None),
    ]
    assert len({tuple(sorted(facts.items())) for facts in variants}) == 4
