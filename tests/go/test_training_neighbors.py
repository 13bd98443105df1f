"""Neighbors of training positions: two rules, both on a real small store."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.go.index import keys_of, make_index
from retrieve_rl.go.splits import nested_draws, second_half, split_games
from retrieve_rl.go.symmetries import INVERSES
from retrieve_rl.go.training_neighbors import distance_scale, training_neighbors
from retrieve_rl.retrieval.neighbors import Neighbors


@pytest.fixture(scope="module")
def games(go_data):
    """The game of every row of the index."""
    return go_data.store.positions.games[go_data.training_rows]


def test_halves_never_mix(go_config, go_data, go_encoder, go_index, go_run, games):
    halves = second_half(go_data.store.games.digests)
    assert 0.2 < halves.mean() < 0.8
    told = training_neighbors(go_config, go_data, go_encoder, go_index, go_run)
    assert told.found.indices.shape == (len(games), go_config.index.num_neighbors)
    assert (told.found.indices >= 0).all()
    assert (halves[games[told.found.indices]] != halves[games][:, None]).all()
    again = training_neighbors(go_config, go_data, go_encoder, go_index, go_run)
    assert again.digest == told.digest


def test_a_hidden_game_leaves_both_halves(go_config, go_data, go_encoder, go_index, go_run, games):
    hidden = go_config.retrieval.model_copy(update={"own_game": "hidden"})
    config = go_config.model_copy(update={"retrieval": hidden})
    told = training_neighbors(config, go_data, go_encoder, go_index, go_run)
    halves = second_half(go_data.store.games.digests)
    assert (games[told.found.indices] != games[:, None]).all()
    same = halves[games[told.found.indices]] == halves[games][:, None]
    assert same.any() and not same.all()
    other = training_neighbors(go_config, go_data, go_encoder, go_index, go_run)
    assert other.digest != told.digest
    assert (told.found.distances[:, 0] <= other.found.distances[:, 0] + 1e-4).all()


def test_all_orientations_find_what_is_like_the_turned_position(
    go_config, go_data, go_encoder, go_index, go_run, games
):
    turned = go_config.retrieval.model_copy(update={"orientations": 8})
    config = go_config.model_copy(update={"retrieval": turned})
    told = training_neighbors(config, go_data, go_encoder, go_index, go_run)
    played = training_neighbors(go_config, go_data, go_encoder, go_index, go_run)
    halves = second_half(go_data.store.games.digests)
    assert (halves[games[told.found.indices]] != halves[games][:, None]).all()
    assert (told.found.distances[:, 0] <= played.found.distances[:, 0] + 1e-4).all()
    assert (played.found.symmetries == 0).all() and (told.found.symmetries[:, 0] > 0).any()
    for symmetry in range(8):
        rows = np.flatnonzero(told.found.symmetries[:, 0] == symmetry)[:5]
        asking = go_data.training_rows[rows]
        keys = keys_of(go_config, go_data, go_encoder, go_index.pca, asking, INVERSES[symmetry])
        found = go_index.take_keys(told.found.indices[rows, 0])
        np.testing.assert_allclose(
            np.sum((keys - found) ** 2, axis=1), told.found.distances[rows, 0], rtol=1e-2, atol=1e-3
        )
    again = training_neighbors(config, go_data, go_encoder, go_index, go_run)
    assert again.digest == told.digest != played.digest


def test_a_game_keeps_its_half_and_its_draw_whatever_else_is_read(bundled):
    digests = bundled.games.digests
    kept = np.arange(len(digests))[::-3]
    for decide in (second_half, nested_draws):
        np.testing.assert_array_equal(decide(digests)[kept], decide(digests[kept]))
    halves, draws = second_half(digests), nested_draws(digests)
    assert halves.mean() == pytest.approx(0.5, abs=0.03)
    for part in range(3):
        inside = split_games(digests, np.ones(len(digests), bool)) == part
        assert halves[inside].mean() == pytest.approx(0.5, abs=0.12)
        assert draws[inside].mean() == pytest.approx(0.5, abs=0.08)
    assert draws[halves].mean() == pytest.approx(0.5, abs=0.03)


def test_the_scale_is_of_the_nearest_that_are_not_the_same():
    distances = np.array([[0.0, 9.0], [2.0, 9.0], [4.0, 9.0], [6.0, 9.0], [np.inf, np.inf]])
    assert distance_scale(Neighbors(np.zeros((5, 2), int), distances)) == 4.0
    assert distance_scale(Neighbors(np.full((1, 2), -1), np.full((1, 2), np.inf))) == 1.0


@pytest.mark.parametrize("what", ["neighbors", "index"])
def test_of_runs_at_once_the_later_waits(go_config, go_data, go_encoder, go_index, go_run, what):
    def make():
        if what == "index":
            return make_index(go_config, go_data, go_encoder, go_run)
        return training_neighbors(go_config, go_data, go_encoder, go_index, go_run)

    folder = go_index.folder if what == "index" else go_index.folder / "neighbors"
    with ThreadPoolExecutor(1) as threads:
        with artifacts.lock(folder):
            later = threads.submit(make)
            with pytest.raises(TimeoutError):
                later.result(timeout=0.3)
        assert later.result(timeout=60)


def test_more_neighbors_do_not_replace_fewer(go_config, go_data, go_encoder, go_index, go_run):
    told = training_neighbors(go_config, go_data, go_encoder, go_index, go_run)
    more = go_config.model_copy(
        update={"index": go_config.index.model_copy(update={"num_neighbors": 12})}
    )
    found = training_neighbors(more, go_data, go_encoder, go_index, go_run).found
    assert found.indices.shape[1] == 12
    paths = list(go_index.folder.glob("neighbors-*-10-other-half/MANIFEST.json"))
    assert [artifacts.read_manifest(path.parent).digest for path in paths] == [told.digest]
