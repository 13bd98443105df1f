"""Records that several Go tests share."""

import os
from pathlib import Path

import pytest

from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.config import resolve
from retrieve_rl.go.data import load_data
from retrieve_rl.go.games import read_records
from retrieve_rl.go.index import make_index
from retrieve_rl.go.train_encoder import fit
from retrieve_rl.progress import Reporter


@pytest.fixture(scope="session")
def big_records():
    """The folder of records named by RRL_GAMES."""
    folder = os.environ.get("RRL_GAMES")
    if not folder:
        pytest.skip("RRL_GAMES names no folder of game records")
    return Path(folder)


@pytest.fixture(scope="session")
def bundled():
    """The bundled games, all positions."""
    silent = Reporter(verbosity=-1)
    return read_records([bundled_records()], fraction=1.0, seed=0, workers=1, reporter=silent)


@pytest.fixture(scope="session")
def go_config(tmp_path_factory, random_sgf, go_settings):
    """A config of a tiny encoder over sixty random games, a quarter of them held out."""
    games = tmp_path_factory.mktemp("games") / "games.sgf"
    games.write_bytes(b"".join(random_sgf(seed) for seed in range(60)))
    return resolve("go9", preset="smoke", games=games, settings=go_settings)


@pytest.fixture(scope="session")
def go_run(make_shared_run):
    """A run whose shared artifacts serve a whole session."""
    return make_shared_run()


@pytest.fixture(scope="session")
def go_data(go_config, go_run):
    """Its store, opened."""
    return load_data(go_config, go_run)


@pytest.fixture(scope="session")
def go_encoder(go_config, go_data, go_run):
    """Its encoder, trained for 40 steps."""
    return fit(go_config, go_data, go_run)


@pytest.fixture(scope="session")
def go_index(go_config, go_data, go_encoder, go_run):
    """The index of the tiny encoder's keys."""
    return make_index(go_config, go_data, go_encoder, go_run)
