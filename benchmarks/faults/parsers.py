"""Everything that reads what others write, with sound input to damage."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from fuzz import DAMAGES, Damage, Parser, damaged
from hypothesis import strategies as st
from inputs import STUDY, TASK, write_d4rl

from retrieve_rl import artifacts
from retrieve_rl.documents import read_document, read_json, write_document
from retrieve_rl.go.archives import cut_games, game_texts
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.endings import EngineFault, Fault
from retrieve_rl.go.gtp_process import GtpProcess
from retrieve_rl.go.gtp_session import GtpSession
from retrieve_rl.go.openings import read_openings
from retrieve_rl.go.referee import GameState
from retrieve_rl.go.sgf import RejectedGame, parse_game
from retrieve_rl.reframe.collect import Rollout
from retrieve_rl.reframe.config import resolve
from retrieve_rl.reframe.d4rl import read_d4rl
from retrieve_rl.reframe.minari_layout import read_episodes, write_episodes
from retrieve_rl.results import RunResult, read_result, write_result
from retrieve_rl.retrieval.array_files import open_arrays
from retrieve_rl.retrieval.keys import check_finite, open_keys
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.design import load_design

_ENGINE_SECONDS = 1.0
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=8,
)
_WORDS = (
    *("1", "9", "-1", "nan", "1e99", "9" * 5000, "b", "w", "A1", "J9", "Z0", "pass", "resign"),
    *("play", "genmove", "komi", "undo", "boardsize", "clear_board", "final_score", "showboard"),
    *("known_command", "list_commands", "rrl-neighbors", "é", "\x00", "#", "quit"),
)


class _FirstPoint:
    """Plays the same point wherever it may."""

    name = "first point"

    def moves(self, states: Sequence[GameState]) -> list[str | Fault]:
        return ["A1" if state.legal[0] else "pass" for state in states]

    def ended(self, states: Sequence[GameState]) -> list[str | None]:
        return [None for _ in states]


def _sgf(folder: Path) -> Parser:
    game = next(game_texts(bundled_records().path)).text

    def feed(damage: Damage, folder: Path) -> None:
        for text in cut_games(io.BytesIO(damaged(game, damage))):
            parse_game(text)

    return Parser(DAMAGES, feed, (RejectedGame,))


def _gtp_answers(folder: Path) -> Parser:
    sound = b"=1 E5\n\n=2 GNU Go\n\n?3 illegal move\n\n"

    def feed(damage: Damage, folder: Path) -> None:
        (folder / "answers").write_bytes(damaged(sound, damage))
        engine = GtpProcess(["cat", str(folder / "answers")], stop=StopRequest())
        try:
            engine.ask("genmove b", _ENGINE_SECONDS)
            engine.ask("name", _ENGINE_SECONDS)
        finally:
            engine.kill()

    return Parser(DAMAGES, feed, (EngineFault,))


def _gtp_commands(folder: Path) -> Parser:
    def feed(lines: list[str], folder: Path) -> None:
        session = GtpSession(_FirstPoint(), version="1", komi=7.0, heard=lambda: "")
        for line in lines:
            answer = session.answer(line)
            assert "internal error" not in (answer or ""), (line, answer)

    line = st.lists(st.sampled_from(_WORDS), max_size=4).map(" ".join) | st.text(max_size=20)
    return Parser(st.lists(line, max_size=10), feed, ())


def _npy(folder: Path) -> Parser:
    def read(path: Path) -> None:
        check_finite(open_keys(path), "keys")

    buffer = io.BytesIO()
    np.save(buffer, np.arange(24, dtype=np.float32).reshape(6, 4))
    return _of_file("keys.npy", buffer.getvalue(), read)


def _npz(folder: Path) -> Parser:
    buffer = io.BytesIO()
    np.savez(buffer, one=np.arange(5), two=np.ones((3, 2)))
    return _of_file("values.npz", buffer.getvalue(), open_arrays)


def _d4rl(folder: Path) -> Parser:
    write_d4rl(folder / "sound.hdf5", 0)
    return _of_file("damaged.hdf5", (folder / "sound.hdf5").read_bytes(), read_d4rl)


def _d4rl_arrays(folder: Path) -> Parser:
    """Whole HDF5 files of unfit arrays."""

    def feed(arrays: dict[str, tuple[str, tuple[int, ...]]], folder: Path) -> object:
        path = folder / "arrays.hdf5"
        write_d4rl(path, 0)
        with h5py.File(path, "a") as file:
            for name, (dtype, shape) in arrays.items():
                if name in file:
                    del file[name]
                file[name] = np.full(shape, 1, dtype)
        return read_d4rl(path)

    names = st.sampled_from(("observations", "actions", "rewards", "terminals", "timeouts", "more"))
    dtypes = st.sampled_from(("f2", "f4", "f8", "i4", "u1", "?", "S2", "c8"))
    shapes = st.lists(st.sampled_from((0, 1, 3, 11, 60)), max_size=3).map(tuple)
    return Parser(st.dictionaries(names, st.tuples(dtypes, shapes), max_size=4), feed)


def _minari(folder: Path) -> Parser:
    rollouts = [
        Rollout(
            np.zeros((6, 3), np.float32),
            np.zeros((5, 2), np.float32),
            np.ones(5, np.float32),
            terminated=True,
            seed=seed,
        )
        for seed in range(2)
    ]
    dataset_id = "rrl/test/sound-v0"
    about = {"env_id": "Hopper-v5", "description": "", "algorithm": ""}
    write_episodes(folder, rollouts, dataset_id=dataset_id, **about)
    files = {file.name: file.read_bytes() for file in (folder / "data").iterdir()}
    metadata = read_json(folder / "data" / "metadata.json")

    def feed(drawn: tuple[str, Damage | dict[str, Any]], folder: Path) -> object:
        name, change = drawn
        for file, data in files.items():
            (folder / "data" / file).write_bytes(data)
        path = folder / "data" / name
        if isinstance(change, dict):
            path.write_text(artifacts.to_json(change))
        else:
            path.write_bytes(damaged(files[name], change))
        return read_episodes(folder, dataset_id=dataset_id, family="bundled", recipe="x")

    bytes_of_one = st.tuples(st.sampled_from(sorted(files)), DAMAGES)
    return Parser(bytes_of_one | st.tuples(st.just("metadata.json"), _changed(metadata)), feed)


def _manifest(folder: Path) -> Parser:
    with artifacts.create(folder / "thing", kind="test", metadata={"a": 1}) as building:
        (building / "a.txt").write_text("a")
    return _of_document(
        folder / "thing" / artifacts.MANIFEST_NAME, lambda path: artifacts.verify(path.parent)
    )


def _result(folder: Path) -> Parser:
    result = RunResult(
        command="evaluate",
        status="ok",
        task="x",
        arm="x",
        preset="x",
        seed=0,
        results_version=1,
        config_hash="x",
        config={},
        inputs={},
        outcomes=[{"return": 1.5}],
    )
    return _of_document(write_result(folder, result), read_result)


def _of_file(name: str, sound: bytes, read: Callable[[Path], object]) -> Parser:
    def feed(damage: Damage, folder: Path) -> object:
        (folder / name).write_bytes(damaged(sound, damage))
        return read(folder / name)

    return Parser(DAMAGES, feed)


def _of_document(path: Path, read: Callable[[Path], object]) -> Parser:
    """Damaged as bytes, or sealed with other values."""

    sound, document = path.read_bytes(), read_document(path)

    def feed(change: Damage | dict[str, Any], folder: Path) -> object:
        if isinstance(change, dict):
            write_document(path, change)
        else:
            path.write_bytes(damaged(sound, change))
        return read(path)

    return Parser(DAMAGES | _changed(document), feed)


def _changed(document: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    changes = st.dictionaries(st.sampled_from([*document, "other"]), _JSON, max_size=2)
    return changes.map(lambda found: {**document, **found})


PARSERS: dict[str, Callable[[Path], Parser]] = {
    "SGF": _sgf,
    "openings": lambda folder: _of_file("o.txt", b"E5 C3 G6\n# one\nD4\n", read_openings),
    "GTP answers": _gtp_answers,
    "GTP commands": _gtp_commands,
    "task TOML": lambda folder: _of_file(
        "task.toml", TASK.encode(), lambda path: resolve(str(path))
    ),
    "study TOML": lambda folder: _of_file(
        "study.toml", STUDY.encode(), lambda path: load_design(str(path))
    ),
    "manifest": _manifest,
    "result": _result,
    "D4RL file": _d4rl,
    "D4RL arrays": _d4rl_arrays,
    "Minari data set": _minari,
    "key matrix": _npy,
    "arrays": _npz,
}
