"""Records that several Go tests share."""

import os
from pathlib import Path

import numpy as np
import pytest

from retrieve_rl.go.board import Boards
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.games import read_records
from retrieve_rl.go.points import BLACK, PASS, WHITE
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
