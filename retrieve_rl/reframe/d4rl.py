"""D4RL files: one long HDF5 array a key, episodes ended by `terminals` or `timeouts`."""

import re
from pathlib import Path

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.locks import shared
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.episodes import Episodes, build_episodes, check, first_bad_row
from retrieve_rl.reframe.hdf5 import open_hdf5, read_array, read_flags
from retrieve_rl.reframe.minari_layout import ARTIFACT_KIND, datasets_root
from retrieve_rl.signals import StopRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ARRAYS_FILE = "episodes.npz"
_COLUMNS = ("observations", "actions", "rewards", "offsets", "terminated")
# D4RL's data was collected in physics that Gymnasium keeps as -v4. (Observation, action) widths ->
# how a file's name begins -> id.
_ENV_IDS = {
    (11, 3): {"hopper": "Hopper-v4"},
    (17, 6): {"walker2d": "Walker2d-v4", "halfcheetah": "HalfCheetah-v4"},
}
_IN_V4 = {
    "Hopper-v5": "Hopper-v4",
    "Walker2d-v5": "Walker2d-v4",
    "HalfCheetah-v5": "HalfCheetah-v4",
}


def in_v4(env_id: str) -> str:
    """The robots of D4RL's data in the physics it was collected in; any other environment as it
    is."""
    return _IN_V4.get(env_id, env_id)


def read_d4rl(path: Path, *, name: str | None = None) -> Episodes:
    """Reads a D4RL file. A cut last episode is left out and counted.

    Args:
      name: what to call it; by default the file's stem.

    Raises:
      DataError: the file is missing or damaged, lacks a key, points elsewhere, or holds a wrong
        shape or a value that is not finite, with the key and row.
    """
    with open_hdf5(path) as file:
        observations = read_array(file, "observations", 2)
        rows = len(observations)
        arrays = {
            "observations": observations,
            "actions": read_array(file, "actions", 2, rows=rows),
            "rewards": read_array(file, "rewards", 1, rows=rows),
        }
        terminals = read_flags(file, "terminals", rows)
        timeouts = read_flags(file, "timeouts", rows)
    for key, array in arrays.items():
        row = first_bad_row(array)
        if row is not None:
            raise DataError(f"{path}: '/{key}' row {row} is not finite: {array[row]}")
    ends = np.flatnonzero(terminals | timeouts)  # both end an episode
    if len(ends) == 0:
        raise DataError(f"{path}: no row of {rows} ends an episode (terminals or timeouts)")
    kept = int(ends[-1]) + 1
    dataset_id = d4rl_id(default_name(path) if name is None else name)
    episodes = build_episodes(
        dataset_id=dataset_id,
        family="d4rl",
        env_id=_env_id(path, observations.shape[1], arrays["actions"].shape[1]),
        recipe=dataset_id,
        **{key: array[:kept] for key, array in arrays.items()},
        offsets=np.concatenate(([0], ends + 1)),
        terminated=terminals[ends],
        dropped_episodes=int(kept < rows),
    )
    check(episodes)
    return episodes


def _env_id(path: Path, observation_dim: int, action_dim: int) -> str:
    known = _ENV_IDS.get((observation_dim, action_dim), {})
    name = path.name.lower()
    return next((found for begin, found in known.items() if name.startswith(begin)), "")


def default_name(path: Path) -> str:
    """The file's stem, with what an id cannot hold replaced by '-'."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-.").replace("..", "-") or "file"


def d4rl_id(name: str) -> str:
    """The id of a D4RL data set. Raises UsageError for a name that could leave its folder."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"'{name}' cannot name a data set: use letters, digits, '_', '-' and '.' (--name)"
        )
    return f"d4rl/{name}"


def copy_path(dataset_id: str) -> Path:
    """Where the verified copy of an imported file lies."""
    return datasets_root() / d4rl_id(dataset_id.removeprefix("d4rl/"))


def save_copy(episodes: Episodes, source: Path, reporter: Reporter, stop: StopRequest) -> Path:
    """Keeps imported episodes as an artifact; its arrays lie in an npz, so Minari passes it by."""
    path = copy_path(episodes.dataset_id)
    metadata = {
        "id": episodes.dataset_id,
        "env_id": episodes.env_id,
        "arrays_sha256": episodes.sha256,
        "episodes": episodes.num_episodes,
        "steps": episodes.num_steps,
        "dropped_episodes": episodes.dropped_episodes,
    }
    with (
        shared(path, reporter, stop),
        artifacts.create(
            path,
            kind=ARTIFACT_KIND,
            made_from={source.name: artifacts.sha256_of(source)},
            metadata=metadata,
        ) as folder,
    ):
        columns = {key: getattr(episodes, key) for key in _COLUMNS}
        artifacts.save_arrays(folder / _ARRAYS_FILE, columns)
    return path


def load_copy(dataset_id: str) -> Episodes:
    """Loads an imported file by id, after checking every byte. Raises DataError."""
    path = copy_path(dataset_id)
    if not path.exists():
        raise DataError(
            f"{dataset_id} is not on this machine (it would lie at {path}):"
            " run `rrl data import FILE.hdf5` first"
        )
    manifest = artifacts.verify(path, kind=ARTIFACT_KIND)
    arrays = artifacts.load_arrays(path / _ARRAYS_FILE)
    if sorted(arrays) != sorted(_COLUMNS):
        raise DataError(f"{path / _ARRAYS_FILE} holds {sorted(arrays)}, expected {_COLUMNS}")
    episodes = build_episodes(
        dataset_id=dataset_id,
        family="d4rl",
        env_id=manifest.metadata["env_id"],
        recipe=dataset_id,
        dropped_episodes=manifest.metadata["dropped_episodes"],
        **arrays,
    )
    if episodes.sha256 != manifest.metadata["arrays_sha256"]:
        raise DataError(f"{path} does not hold the arrays its manifest names: import it again")
    return episodes
