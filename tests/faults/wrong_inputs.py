"""Files that no command can use, each wrong in one way, beside sound ones."""

import shutil
from pathlib import Path

import h5py
import numpy as np
from commands import call
from inputs import write_d4rl, write_data, write_games, write_keys

from retrieve_rl.config import RunConfig
from retrieve_rl.go import config as go_config
from retrieve_rl.reframe import config as reframe_config
from retrieve_rl.results import RunResult, write_result
from retrieve_rl.training.checkpoints import save_checkpoint

_TEXTS = {
    "text.npy": "hello",
    "text.npz": "hello",
    "text.hdf5": "hello",
    "text.zip": "hello",
    "text.sgf.gz": "hello",
    "empty": "",
    "broken.toml": "[env\nid = 3",
    "unknown.toml": "[env]\nidd = 'x'",
    "type.toml": "[env]\nid = 3",
    "paper.toml": "paper = 'chess'",
    "deep.toml": f"a = {'[' * 3000}{']' * 3000}",
    "none.sgf": "nothing",
    "big.sgf": "(;SZ[19];B[aa])",
    "one.sgf": "(;SZ[9]KM[7]RE[B+R];B[ee];W[cc])",
    "openings.txt": "E5 Z9",
    "few.txt": "E5",
    "sound.txt": "E5\nE4\nE3\nD4\nD3\nC3\nE5 C3\nE5 D3\nE4 C3\nD4 F6",
    "illegal.txt": "E5 E5",
    "repeated.txt": "B9 A8 D9 B8 C8 J1 A9 C9 B9",
    "list.json": "[]",
    "other.json": "{}",
    "newer.json": '{"schema_version": 99}',
}
_STUDIES = {
    "nobody": "arms = ['nobody']",
    "no-key": "arms = ['reframe']\ngrid = {'train.step' = [1]}",
    "no-value": "arms = ['reframe']\ngrid = {'train.steps' = []}",
    "no-arm": "arms = []",
    "twice": "arms = ['reframe']\nseeds = [1, 1]",
    "negative": "arms = ['reframe']\nseeds = [-1]",
    "two-presets": "arms = ['reframe']\npreset = ['smoke', 'quick']",
    "no-table": "arms = ['reframe']\nsmoke = 3",
    "reference": "arms = ['reframe']\nreference = 'nobody'",
}
_RUNS = {"damaged": "{", "newer": _TEXTS["newer.json"], "other": "{}"}


def write_wrong_inputs(folder: Path) -> None:
    write_keys(folder)
    write_data(folder)
    write_games(folder)
    for name, text in _TEXTS.items():
        (folder / name).write_text(text)
    (folder / "latin.toml").write_bytes("title = 'é'".encode("latin-1"))
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("folder", "folder.toml", "folder.hdf5"):
        (folder / name).mkdir()
    for name, text in _STUDIES.items():
        (folder / f"{name}.toml").write_text(f"title = 'x'\ntasks = ['hopper-medium']\n{text}")
    (folder / "mixed.toml").write_text(
        "title = 'x'\ntasks = ['hopper-medium', 'go9']\narms = ['reframe']"
    )
    _write_arrays(folder)
    _write_hdf5(folder)
    _write_artifacts(folder)
    _write_runs(folder)


def _write_arrays(folder: Path) -> None:
    keys = np.load(folder / "keys.npy")
    damaged = keys.copy()
    damaged[7, 3] = np.nan
    arrays = {
        "double": keys.astype(np.float64),
        "flat": keys[:, 0],
        "none": keys[:0],
        "nan": damaged,
        "wide": np.zeros((10, 9), np.float32),
        "objects": np.array([{}, 1], object),
        "short": np.zeros(5, np.int32),
        "fractions": np.zeros(len(keys)),
        "negative": -np.ones(len(keys), np.int64),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        np.savez(folder / f"{name}.npz", array)
    (folder / "cut.npy").write_bytes((folder / "keys.npy").read_bytes()[:5000])


def _write_hdf5(folder: Path) -> None:
    rows = 60
    damaged = np.zeros((rows, 11), np.float32)
    damaged[4, 2] = np.nan
    changes = {
        "nan": {"observations": damaged},
        "no-rewards": {"rewards": None},
        "few-rewards": {"rewards": np.zeros(5, np.float32)},
        "endless": {"terminals": np.zeros(rows, bool)},
        "words": {"actions": np.array([b"x"] * rows)},
        "walker2d": {"observations": np.zeros((rows, 17)), "actions": np.zeros((rows, 6))},
    }
    for name, changed in changes.items():
        write_d4rl(folder / f"{name}.hdf5", 0)
        with h5py.File(folder / f"{name}.hdf5", "a") as file:
            for key, array in changed.items():
                del file[key]
                if array is not None:
                    file[key] = array


def _write_artifacts(folder: Path) -> None:
    words = ("build-index", "--keys", "@/keys.npy", "--out", "@/index", "-q")
    assert call(words, folder).exit_code == 0
    for name in ("changed", "longer"):
        shutil.copytree(folder / "index", folder / name)
    (keys,) = (folder / "changed").rglob("keys.npy")
    *whole, last = keys.read_bytes()
    keys.write_bytes(bytes([*whole, last ^ 1]))
    (folder / "longer" / "more.pkl").write_text("x")


def _write_runs(folder: Path) -> None:
    for name, text in _RUNS.items():
        (folder / f"{name}-run").mkdir()
        (folder / f"{name}-run" / "result.json").write_text(text)
    of_go = go_config.resolve("go9", preset="smoke", games=folder / "games.sgf")
    steps = of_go.train.steps
    for config in (of_go, reframe_config.resolve("hopper-medium", preset="smoke")):
        run = folder / f"{config.paper}-run"
        write_result(run, _result(config))
        save_checkpoint(run / "checkpoints", steps, {}, made_from={}, metadata={})


def _result(config: RunConfig) -> RunResult:
    """What a training that computed nothing would end in."""
    module = go_config if isinstance(config, go_config.GoConfig) else reframe_config
    return RunResult(
        command="train-policy",
        status="ok",
        task=config.task,
        arm=config.arm,
        preset=config.preset,
        seed=config.seed,
        results_version=module.RESULTS_VERSION,
        config_hash=module.config_hash(config),
        config=config.model_dump(mode="json"),
        inputs={},
        summary={"mean": 1.0, "measure": "top1"},
    )
