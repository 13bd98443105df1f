"""Records that several Go tests share."""

import os
from pathlib import Path

import numpy as np
import pytest

from retrieve_rl.go.board import Boards
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.config import resolve
from retrieve_rl.go.data import load_data
from retrieve_rl.go.games import read_records
from retrieve_rl.go.points import BLACK, PASS, WHITE
from retrieve_rl.go.train_encoder import fit
from retrieve_rl.progress import Reporter

LETTERS = "abcdefghi"


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
def random_sgf():
    """random_sgf(seed, moves): SGF text of a random legal game with some passes."""

    def make(seed, moves=40, header="KM[7]RE[B+3]") -> bytes:
        rng, boards, color = np.random.default_rng(seed), Boards(1), BLACK
        nodes = []
        for _ in range(moves):
            legal = boards.legal_moves(np.array([color]))[0]
            move = int(rng.choice(np.flatnonzero(legal)))
            boards.play(np.zeros(1, int), np.array([move]), np.array([color]))
            name = "" if move == PASS else LETTERS[move % 9] + LETTERS[move // 9]
            nodes.append(f";{'_BW'[color]}[{name}]")
            color = BLACK + WHITE - color
        return f"(;GM[1]SZ[9]{header}{''.join(nodes)})\n".encode()

    return make


@pytest.fixture(scope="session")
def go_config(tmp_path_factory, random_sgf):
    """A config of a tiny encoder over sixty random games, a quarter of them held out."""
    games = tmp_path_factory.mktemp("games") / "games.sgf"
    games.write_bytes(b"".join(random_sgf(seed) for seed in range(60)))
    settings = (
        "data.fraction=1.0",
        "data.validation_share=0.15",
        "data.test_share=0.15",
        "encoder.channels=8",
        "encoder.num_blocks=1",
        "encoder.feature_width=16",
        "encoder.steps=40",
        "keys.dim=8",
        "evaluate.positions=60",
    )
    return resolve("go9", preset="smoke", games=games, settings=settings)


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
