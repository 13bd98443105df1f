"""Records, engines and players that several Go tests share."""

import os
import shlex
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieve_rl.errors import MissingDependencyError
from retrieve_rl.go.board import NEIGHBORS
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.config import resolve
from retrieve_rl.go.data import load_data
from retrieve_rl.go.diagrams import Diagram, Record
from retrieve_rl.go.games import read_records
from retrieve_rl.go.gtp_engine import parse_command
from retrieve_rl.go.index import make_index
from retrieve_rl.go.look_up import LookUp, Neighbor
from retrieve_rl.go.points import BLACK, NUM_POINTS, PASS, WHITE, vertex_of
from retrieve_rl.go.referee import GameState
from retrieve_rl.go.train_encoder import fit
from retrieve_rl.progress import Reporter

FAKE_ENGINE = Path(__file__).resolve().parents[2] / "benchmarks/fake_engine.py"


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


@pytest.fixture(scope="session")
def make_diagram():
    """make_diagram({0: BLACK}, (1, 2)): a position with these stones and next moves."""

    def make(stones, next_moves=(), ply=3, row=None, **changes) -> Diagram:
        board = np.zeros(81, np.uint8)
        for point, color in stones.items():
            board[point] = color
        told = {
            "file": "games.sgf",
            "entry": 5,
            "players": ("Ann", "Bob"),
            "outcome": 1,
            "margin": 2.5,
            "komi": 7.0,
        }
        record = Record(**{**told, **changes})
        return Diagram(board, WHITE if ply % 2 else BLACK, next_moves, ply, record, row)

    return make


@pytest.fixture(scope="session")
def found(make_diagram):
    """A query with four neighbors that differ in winner and next moves; made by hand."""
    query = make_diagram({0: BLACK, 40: WHITE, 80: BLACK}, (20, PASS, 24, 40))
    neighbors = (
        make_diagram({0: BLACK}, (20,), outcome=-1, margin=None, row=17),
        make_diagram({0: BLACK}, (20, 20, 21), outcome=0, margin=0.0, row=18),
        make_diagram({0: BLACK}, outcome=None, margin=None, komi=-3.5, players=("", "Bob")),
        make_diagram({0: BLACK}, (PASS,), row=19),
    )
    distances = (0.0, 0.51234, 12.5, 1234.5678)
    return LookUp(query, tuple(map(Neighbor, neighbors, distances, range(4))))


class FakeEngine:
    """The command line of the fake engine, which may be told to fail."""

    def arguments(self, *arguments: str) -> list[str]:
        return [sys.executable, "-I", "-S", str(FAKE_ENGINE), *arguments]

    def command(self, *arguments: str) -> str:
        return shlex.join(self.arguments(*arguments))


@pytest.fixture(scope="session")
def fake_engine():
    """fake_engine.command("genmove:2:hang"): a command line; see benchmarks/fake_engine.py."""
    return FakeEngine()


@pytest.fixture
def nothing_left():
    """Fails a test that leaves a process, a descriptor or a thread behind."""
    before = _belongings()
    yield
    assert _belongings() == before


def _belongings() -> tuple[set[str], int, int]:
    """Children (zombies too), open descriptors, threads; of Linux only the last elsewhere."""
    processes = Path("/proc")
    children = {
        status.parent.name
        for status in processes.glob("[0-9]*/stat")
        if _parent_of(status) == os.getpid()
    }
    descriptors = len(os.listdir("/proc/self/fd")) if (processes / "self/fd").is_dir() else 0
    return children, descriptors, threading.active_count()


def _parent_of(status: Path) -> int:
    try:
        return int(status.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return 0


class RandomPlayer:
    """Plays any legal move but into its own eyes, and passes where there is no other.

    Its moves depend on the game and the ply alone.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        self.name, self.seed = name, seed
        self.asked: list[list[int]] = []

    def moves(self, states: Sequence[GameState]) -> list[str]:
        self.asked.append([state.game for state in states])
        return [vertex_of(self.move(state)) for state in states]

    def move(self, state: GameState) -> int:
        rng = np.random.default_rng([self.seed, state.game, len(state.moves)])
        own = np.append(state.stones == state.to_move, True)
        eyes = own[NEIGHBORS].all(axis=1)
        points = np.flatnonzero(state.legal[:NUM_POINTS] & ~eyes)
        return int(rng.choice(points)) if len(points) else PASS

    def ended(self, states: Sequence[GameState]) -> list[None]:
        return [None for _ in states]


@pytest.fixture(scope="session")
def random_player():
    """random_player("Ann", seed=1): a player of random legal moves."""
    return RandomPlayer


@pytest.fixture(scope="session")
def gnugo():
    """The command line of GNU Go."""
    try:
        program, *_ = parse_command("gnugo")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    return f"{program} --mode gtp --level 1 --chinese-rules --positional-superko --seed {{seed}}"
