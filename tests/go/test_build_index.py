"""From records to a searchable index: stages made once, held-out games nowhere in it."""

import dataclasses

import numpy as np
import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.go import agreement, train_encoder
from retrieve_rl.go import index as indexes
from retrieve_rl.go.build_index import build_index
from retrieve_rl.go.config import resolve
from retrieve_rl.go.data import split_data
from retrieve_rl.go.index import keys_of, make_index, neighbors_of
from retrieve_rl.go.splits import TEST, TRAINING, VALIDATION
from retrieve_rl.go.store import open_store, write_store
from retrieve_rl.go.symmetries import NUM_SYMMETRIES
from retrieve_rl.results import read_result, write_result


def test_the_index_holds_the_training_games_and_their_keys(
    go_config, go_data, go_encoder, go_index
):
    games = go_index.memory.groups.take(np.arange(len(go_index.keys)))
    assert (go_data.split[games] == TRAINING).all()
    rows = go_data.training_rows
    np.testing.assert_array_equal(
        go_index.memory.values["boards"].take(np.arange(len(rows))),
        go_data.store.positions.boards[rows],
    )
    again = keys_of(go_config, go_data, go_encoder, go_index.pca, rows[:50])
    np.testing.assert_allclose(again, go_index.keys[:50], atol=1e-4)


def test_no_neighbor_is_from_the_query_s_game(go_config, go_data, go_encoder, go_index):
    games = go_data.store.positions.games
    rows = go_data.training_rows[:30]
    asked = neighbors_of(go_config, go_data, go_encoder, go_index, rows)
    assert (games[asked.indices] != games[rows][:, None]).all()
    held_out = go_data.rows_of(TEST)[:30]
    asked = neighbors_of(go_config, go_data, go_encoder, go_index, held_out)
    assert (go_data.split[games[asked.indices]] == TRAINING).all()
    assert (np.diff(asked.distances, axis=1) >= 0).all()


def test_a_signal_waits_for_one_chunk_and_the_keys_go_on_after_it(
    go_config, go_data, go_encoder, go_index, make_run, monkeypatch
):
    monkeypatch.setattr(indexes, "CHUNK_ROWS", 200)
    run, encode, chunks = make_run(), indexes.keys_of, []

    def stopping(*arguments):
        chunks.append(len(arguments[-1]))
        run.stop.signal_number = 15 if len(chunks) == 2 else None
        return encode(*arguments)

    monkeypatch.setattr(indexes, "keys_of", stopping)
    run.stop.signal_number = 15
    with pytest.raises(Interrupted, match="nothing of the projection is kept"):
        make_index(go_config, go_data, go_encoder, run)
    run.stop.signal_number = None
    with pytest.raises(Interrupted, match="400 of .* rows are kept"):
        make_index(go_config, go_data, go_encoder, run)
    run.stop.signal_number = None
    index = make_index(go_config, go_data, go_encoder, run)
    assert set(chunks[:-1]) == {200} and sum(chunks) == len(index.keys)
    np.testing.assert_allclose(index.keys, go_index.keys, atol=1e-4)


def test_the_result_says_how_good_it_is_and_nothing_is_made_twice(
    go_config, go_data, go_index, go_run, make_run, monkeypatch
):
    result = build_index(go_config, go_run)
    summary = result.summary
    assert set(summary["neighbor_move_agreement"]) == {"learned", "raw_board", "random"}
    assert summary["recall_at_10"] == 1.0 and 0 < summary["explained_variance"] <= 1
    distances = result.retrieval["distances"]
    assert distances["nearest"]["q50"] < distances["random_pairs"]["q50"]
    assert result.inputs["training_games"] + result.inputs["test_games"] < 60
    write_result(make_run("written").folder, result)
    assert read_result(make_run("written").folder).summary == summary

    def forbidden(*_, **__):
        raise AssertionError("a stage was done again")

    monkeypatch.setattr(train_encoder, "_train", forbidden)
    monkeypatch.setattr(indexes, "fit_pca", forbidden)
    number, compared = agreement._number, []

    def counted(points):
        compared.append(len(points))
        return number(points)

    monkeypatch.setattr(agreement, "_number", counted)
    again = build_index(go_config, go_run)
    assert again.summary == summary
    queries = go_config.evaluate.positions
    boards = len(go_data.training_rows) + sum(
        len(go_data.rows_of(part)) for part in (VALIDATION, TEST)
    )
    assert sum(compared) == NUM_SYMMETRIES * (boards + queries)
    narrow = {"dim": 4}
    keys = go_config.keys.model_copy(update=narrow)
    with pytest.raises(AssertionError, match="done again"):
        build_index(go_config.model_copy(update={"keys": keys}), go_run)


def test_no_bundled_held_out_game_enters_encoder_projection_or_index(
    bundled, tmp_path, make_run, monkeypatch
):
    """By game id, on the real store: what reaches the device, the PCA and the index."""
    settings = ("encoder.steps=2", "encoder.channels=4", "encoder.num_blocks=1", "keys.dim=4")
    config = resolve("go9", preset="smoke", settings=settings)
    kept = np.arange(0, bundled.positions.num_positions, 50)
    records = dataclasses.replace(bundled, positions=bundled.positions.take(kept))
    write_store(tmp_path / "store", records, made_from={}, metadata={})
    data = split_data(config, open_store(tmp_path / "store"))
    held_out = set(map(bytes, data.store.games.digests[data.split != TRAINING]))
    assert 0.08 < len(held_out) / len(data.store.games) < 0.12
    used: dict[str, set[int]] = {"encoder": set(), "keys": set()}
    put, encode = train_encoder.jax.device_put, indexes.features

    def watched_put(batch):
        used["encoder"] |= set(batch.positions.games.tolist())
        return put(batch)

    def watched_features(encoder, layer, positions, *rest):
        used["keys"] |= set(positions.games.tolist())
        return encode(encoder, layer, positions, *rest)

    monkeypatch.setattr(train_encoder.jax, "device_put", watched_put)
    monkeypatch.setattr(indexes, "features", watched_features)
    run = make_run()
    index = make_index(config, data, train_encoder.fit(config, data, run), run)
    used["index"] = set(index.memory.groups.take(np.arange(len(index.keys))).tolist())
    for stage, games in used.items():
        assert len(games) > 3000, stage
        assert not held_out & set(map(bytes, data.store.games.digests[sorted(games)])), stage
