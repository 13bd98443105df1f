"""Whole episodes as flat host arrays, and the checks every source of data passes."""

import hashlib
import itertools
from dataclasses import dataclass

import numpy as np

from retrieve_rl.artifacts import sha256_of_arrays
from retrieve_rl.errors import DataError


@dataclass(frozen=True)
class Episodes:
    """Whole episodes, concatenated in time, as host arrays (S steps, E episodes).

    Attributes:
      dataset_id: "rrl/hopper/medium-v0", "mujoco/hopper/medium-v0" or "d4rl/<name>".
      family: "bundled", "minari" or "d4rl"; scores of different families are not comparable.
      env_id: Gymnasium id of the environment, "" where unknown.
      sha256: digest of the arrays below.
      recipe: recipe id and version of bundled data, else the data set id.
      observations: [S, O] float32, before each action.
      actions: [S, A] float32.
      rewards: [S] float32.
      offsets: [E + 1] int64; episode e is the rows offsets[e]:offsets[e + 1].
      terminated: [E] bool; False where a time limit ended the episode.
      dropped_episodes: cut last episodes that were left out.
    """

    dataset_id: str
    family: str
    env_id: str
    sha256: str
    recipe: str
    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    offsets: np.ndarray
    terminated: np.ndarray
    dropped_episodes: int = 0

    @property
    def num_episodes(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_steps(self) -> int:
        return len(self.rewards)

    @property
    def lengths(self) -> np.ndarray:
        """[E] int64: steps of each episode."""
        return np.diff(self.offsets)

    @property
    def returns(self) -> np.ndarray:
        """[E] float64: undiscounted sum of rewards of each episode."""
        return np.add.reduceat(self.rewards.astype(np.float64), self.offsets[:-1])

    def select(self, indices: np.ndarray | list[int]) -> "Episodes":
        """The episodes at `indices`, in that order, with a digest of their own."""
        chosen = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[chosen]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        # Row r of the result is row r + shift of its episode here.
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        return build_episodes(
            dataset_id=self.dataset_id,
            family=self.family,
            env_id=self.env_id,
            recipe=self.recipe,
            observations=self.observations[rows],
            actions=self.actions[rows],
            rewards=self.rewards[rows],
            offsets=offsets,
            terminated=self.terminated[chosen],
            dropped_episodes=self.dropped_episodes,
        )


def build_episodes(
    *,
    dataset_id: str,
    family: str,
    env_id: str,
    recipe: str,
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    offsets: np.ndarray,
    terminated: np.ndarray,
    dropped_episodes: int = 0,
) -> Episodes:
    """Casts the arrays to the types of `Episodes` and computes their digest."""
    arrays = {
        "observations": _cast(observations),
        "actions": _cast(actions),
        "rewards": _cast(rewards),
        "offsets": np.ascontiguousarray(offsets, dtype=np.int64),
        "terminated": np.ascontiguousarray(terminated, dtype=np.bool_),
    }
    return Episodes(
        dataset_id=dataset_id,
        family=family,
        env_id=env_id,
        sha256=sha256_of_arrays(arrays),
        recipe=recipe,
        dropped_episodes=dropped_episodes,
        **arrays,
    )


def returns_to_go(episodes: Episodes) -> np.ndarray:
    """[S] float32: undiscounted sum of rewards from each step to the end of its episode."""
    rewards = episodes.rewards.astype(np.float64)
    result = np.empty(len(rewards), dtype=np.float32)
    # Episode by episode: one cumulative sum over all data would lose digits to cancellation.
    for start, end in zip(episodes.offsets[:-1], episodes.offsets[1:], strict=True):
        result[start:end] = np.cumsum(rewards[start:end][::-1])[::-1]
    return result


def episode_digests(episodes: Episodes) -> list[bytes]:
    """A digest of the observations, actions and rewards of each episode."""
    columns = (episodes.observations, episodes.actions, episodes.rewards)
    digests = []
    for start, end in itertools.pairwise(episodes.offsets):
        digest = hashlib.sha256()
        for column in columns:
            digest.update(column[start:end].data)
        digests.append(digest.digest())
    return digests


def check(episodes: Episodes) -> None:
    """Refuses what cannot be trained on.

    Raises:
      DataError: no episode, an empty one, arrays of the wrong shape, or a value that is not
        finite; with the array, row and reason.
    """
    name, offsets, steps = episodes.dataset_id, episodes.offsets, episodes.num_steps
    if offsets.ndim != 1 or len(offsets) < 2:
        raise DataError(f"{name} holds no whole episode")
    if offsets[0] != 0 or offsets[-1] != steps:
        raise DataError(
            f"{name}: offsets run from {offsets[0]} to {offsets[-1]}, expected 0 to {steps}"
        )
    empty = np.flatnonzero(np.diff(offsets) <= 0)
    if len(empty):
        raise DataError(f"{name}: episode {empty[0]} has {np.diff(offsets)[empty[0]]} steps")
    if episodes.terminated.shape != (episodes.num_episodes,):
        raise DataError(
            f"{name}: terminated has shape {episodes.terminated.shape},"
            f" expected ({episodes.num_episodes},)"
        )
    for key, ndim in (("observations", 2), ("actions", 2), ("rewards", 1)):
        array = getattr(episodes, key)
        if array.ndim != ndim or len(array) != steps or 0 in array.shape[1:]:
            raise DataError(f"{name}: {key} has shape {array.shape}, expected {steps} rows")
        row = first_bad_row(array)
        if row is not None:
            episode = int(np.searchsorted(offsets, row, side="right")) - 1
            raise DataError(
                f"{name}: {key} row {row} (episode {episode}, step {row - offsets[episode]}) is"
                f" not finite: {array[row]}"
            )


def first_bad_row(array: np.ndarray) -> int | None:
    """The first row of `array` with a value that is not finite; None where there is none."""
    finite = np.isfinite(array)
    if finite.all():
        return None
    return int(np.argmin(finite.reshape(len(array), -1).all(axis=1)))


def _cast(array: np.ndarray) -> np.ndarray:
    # A float64 beyond float32's range becomes infinite here; `check` refuses it with its row.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)
