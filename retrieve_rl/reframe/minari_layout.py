"""Minari's layout on disk: where data sets lie, how one is written and read.

A data set is a folder `<root>/<id>/data` with `metadata.json` and `main_data.hdf5`, one group an
episode. It is read with h5py alone: Minari's own iterator is slow and believes what it reads.
Environments are never rebuilt from metadata, which may name any code.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retrieve_rl.documents import read_json
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.reframe.collect import Rollout
from retrieve_rl.reframe.episodes import Episodes, build_episodes, check
from retrieve_rl.reframe.hdf5 import open_hdf5, read_array, read_flags, read_group

ARTIFACT_KIND = "dataset"
ROOT_VARIABLE = "MINARI_DATASETS_PATH"
DATA_FILE = "data/main_data.hdf5"

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*-v[0-9]+")
_METADATA_FILE = "metadata.json"


def datasets_root() -> Path:
    """Minari's folder of data sets: MINARI_DATASETS_PATH, or its default in the home folder."""
    configured = os.environ.get(ROOT_VARIABLE)
    return Path(configured) if configured else Path.home() / ".minari" / "datasets"


def dataset_path(dataset_id: str) -> Path:
    """Where a data set lies. Raises UsageError for what is not a Minari id."""
    if not _ID.fullmatch(dataset_id):
        raise UsageError(
            f"'{dataset_id}' is not a data set id: expected name parts of letters, digits, '_' and"
            " '-' with a version, such as mujoco/hopper/medium-v0, or a file ending in .hdf5"
        )
    return datasets_root() / dataset_id


def write_episodes(
    folder: Path,
    rollouts: Sequence[Rollout],
    *,
    dataset_id: str,
    env_id: str,
    description: str,
    algorithm: str,
) -> None:
    """Writes rollouts into `folder/data` as a Minari data set.

    Raises:
      OSError: as the disk says.
    """
    import gymnasium
    import minari
    from minari.dataset.minari_storage import MinariStorage

    width = rollouts[0].observations.shape[1]
    actions = rollouts[0].actions.shape[1]
    storage = MinariStorage.new(
        folder / "data",
        observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32),
        action_space=gymnasium.spaces.Box(-1.0, 1.0, (actions,), np.float32),
        env_spec=gymnasium.spec(env_id),
        data_format="hdf5",
    )
    storage.update_metadata(
        {
            "dataset_id": dataset_id,
            "minari_version": minari.__version__,
            "algorithm_name": algorithm,
            "description": description,
            "author": {"retrieve_rl"},
        }
    )
    # Minari's own writer makes every array resizable in chunks: four times the bytes for short
    # episodes, and slow to write and read. Plain arrays under the same names read the same.
    with h5py.File(folder / DATA_FILE, "w", libver="v110") as file:
        for number, rollout in enumerate(rollouts):
            _write_episode(file.create_group(f"episode_{number}"), number, rollout)
    storage.update_metadata(
        {
            "total_episodes": len(rollouts),
            "total_steps": sum(len(rollout.rewards) for rollout in rollouts),
            "dataset_size": storage.get_size(),
        }
    )


def read_episodes(folder: Path, *, dataset_id: str, family: str, recipe: str) -> Episodes:
    """Reads `folder/data`. Episodes without an end are left out and counted.

    Raises:
      DataError: missing or damaged files, another layout, or values that cannot be used.
    """
    metadata = read_metadata(folder)
    total = metadata.get("total_episodes")
    if metadata.get("data_format", "hdf5") != "hdf5" or not isinstance(total, int) or total < 1:
        raise DataError(
            f"{folder / 'data' / _METADATA_FILE} says format {metadata.get('data_format')!r} and"
            f" {total!r} episodes; expected hdf5 and at least one episode"
        )
    columns: dict[str, list[np.ndarray]] = {"observations": [], "actions": [], "rewards": []}
    lengths: list[int] = []
    terminated: list[bool] = []
    with open_hdf5(folder / DATA_FILE) as file:
        for number in range(total):
            episode, ended = _read_episode(read_group(file, f"episode_{number}"))
            if ended is None:
                continue
            for key, array in episode.items():
                _same_width(folder, number, key, columns[key], array)
                columns[key].append(array)
            lengths.append(len(episode["rewards"]))
            terminated.append(ended)
    if not lengths:
        raise DataError(f"{folder} holds no whole episode")
    episodes = build_episodes(
        dataset_id=dataset_id,
        family=family,
        env_id=_env_id(metadata),
        recipe=recipe,
        **{key: np.concatenate(arrays) for key, arrays in columns.items()},
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        terminated=np.array(terminated),
        dropped_episodes=total - len(lengths),
    )
    check(episodes)
    return episodes


def read_metadata(folder: Path) -> dict[str, Any]:
    """Minari's metadata of the data set in `folder`. Raises DataError."""
    file = folder / "data" / _METADATA_FILE
    if not file.exists():
        raise DataError(f"{folder} holds no data: {file} is missing")
    return read_json(file)


def is_loadable(path: Path) -> bool:
    """Whether the two files are there and HDF5 reads the beginning of the larger one."""
    try:
        read_metadata(path)
        with open_hdf5(path / DATA_FILE):
            return True
    except DataError:
        return False


def _read_episode(group: Any) -> tuple[dict[str, np.ndarray], bool | None]:
    """The arrays of one episode, and whether it was terminated; None if it has no end."""
    rewards = read_array(group, "rewards", 1)
    steps = len(rewards)
    if steps == 0:
        raise DataError(f"{group.file.filename}: '{group.name}' has no steps")
    terminations = read_flags(group, "terminations", steps)
    truncations = read_flags(group, "truncations", steps)
    ends = np.flatnonzero(terminations | truncations)
    if len(ends) and ends[0] != steps - 1:
        raise DataError(
            f"{group.file.filename}: '{group.name}' goes on after its end in row {ends[0]}"
        )
    arrays = {
        # The observation after the last action is not one to act on.
        "observations": read_array(group, "observations", 2, rows=steps + 1)[:-1],
        "actions": read_array(group, "actions", 2, rows=steps),
        "rewards": rewards,
    }
    return arrays, bool(terminations[-1]) if len(ends) else None


def _same_width(
    folder: Path, number: int, key: str, before: list[np.ndarray], array: np.ndarray
) -> None:
    if before and before[0].shape[1:] != array.shape[1:]:
        raise DataError(
            f"{folder / DATA_FILE}: '/episode_{number}/{key}' has rows of shape"
            f" {array.shape[1:]}, those before have {before[0].shape[1:]}"
        )


def _env_id(metadata: Mapping[str, Any]) -> str:
    """The environment's id as text; nothing is built from it."""
    try:
        found = json.loads(metadata["env_spec"])["id"]
    except (KeyError, TypeError, ValueError):
        return ""
    return found if isinstance(found, str) else ""


def _write_episode(group: h5py.Group, number: int, rollout: Rollout) -> None:
    steps = len(rollout.rewards)
    ended = np.zeros(steps, dtype=bool)
    ended[-1] = True
    arrays = {
        "observations": rollout.observations,
        "actions": rollout.actions,
        "rewards": rollout.rewards,
        "terminations": ended & rollout.terminated,
        "truncations": ended & (not rollout.terminated),
    }
    for key, array in arrays.items():
        group.create_dataset(key, data=array)
    group.create_group("infos")  # Minari cannot print an episode without it
    group.attrs.update({"id": number, "seed": rollout.seed, "total_steps": steps})
