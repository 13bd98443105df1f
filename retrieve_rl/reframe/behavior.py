"""The behavior policies in the package, as NumPy functions of a batch of observations.

They act only to make data. Sources and licenses: `policies/README.md`.
"""

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Protocol

import numpy as np

from retrieve_rl.errors import DataError

ACTION_DIMS = {"hopper": 3, "walker2d": 6}


class Policy(Protocol):
    """A stochastic policy whose randomness is drawn apart, so that an episode owns its noise."""

    def noise(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """[steps, A] float32: the noise of the next `steps` actions of one episode."""
        ...

    def __call__(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """[B, A] float32 actions in [-1, 1] for observations [B, O] and noise [B, A], float32."""
        ...


@dataclass(frozen=True)
class UniformPolicy:
    """Uniform actions in [-1, 1], whatever is observed."""

    action_dim: int

    def noise(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        return 2 * rng.random((steps, self.action_dim), dtype=np.float32) - 1

    def __call__(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return noise


@dataclass(frozen=True)
class SquashedGaussianPolicy:
    """The policy of SAC and TQC: two ReLU layers, a diagonal Gaussian, tanh.

    Attributes:
      w0: [O, H]; b0: [H]; w1: [H, H]; b1: [H].
      w_mean, w_log_std: [H, A]; b_mean, b_log_std: [A]. The log deviation is cut to [-20, 2].
    """

    w0: np.ndarray
    b0: np.ndarray
    w1: np.ndarray
    b1: np.ndarray
    w_mean: np.ndarray
    b_mean: np.ndarray
    w_log_std: np.ndarray
    b_log_std: np.ndarray

    def noise(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        return rng.standard_normal((steps, len(self.b_mean)), dtype=np.float32)

    def __call__(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        hidden = np.maximum(observations @ self.w0 + self.b0, 0)
        hidden = np.maximum(hidden @ self.w1 + self.b1, 0)
        mean = hidden @ self.w_mean + self.b_mean
        log_std = np.clip(hidden @ self.w_log_std + self.b_log_std, -20, 2)
        actions: np.ndarray = np.tanh(mean + np.exp(log_std) * noise)
        return actions


@dataclass(frozen=True)
class ClippedGaussianPolicy:
    """The policy of TRPO: normalized observations, two tanh layers, a fixed deviation, a cut.

    Attributes:
      obs_mean, obs_std: [O]; w0: [O, H]; b0: [H]; w1: [H, H]; b1: [H].
      w_mean: [H, A]; b_mean, log_std: [A].
    """

    obs_mean: np.ndarray
    obs_std: np.ndarray
    w0: np.ndarray
    b0: np.ndarray
    w1: np.ndarray
    b1: np.ndarray
    w_mean: np.ndarray
    b_mean: np.ndarray
    log_std: np.ndarray

    def noise(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        return rng.standard_normal((steps, len(self.b_mean)), dtype=np.float32)

    def __call__(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        hidden = np.tanh((observations - self.obs_mean) / self.obs_std @ self.w0 + self.b0)
        hidden = np.tanh(hidden @ self.w1 + self.b1)
        mean = hidden @ self.w_mean + self.b_mean
        actions: np.ndarray = np.clip(mean + np.exp(self.log_std) * noise, -1, 1)
        return actions


@functools.lru_cache(maxsize=64)
def load_policy(robot: str, name: str) -> Policy:
    """The policy `name` of a robot ("hopper", "walker2d").

    Args:
      name: "random", "medium", "expert", or "ladder-<n>", the n-th snapshot (from 0, oldest
        first) of the run that ended in "medium".

    Raises:
      DataError: the package lacks the file, or holds another one.
    """
    if name == "random":
        return UniformPolicy(ACTION_DIMS[robot])
    arrays = _read(robot, "sac_ladder" if name.startswith("ladder-") else name)
    if name.startswith("ladder-"):
        snapshot = int(name.removeprefix("ladder-"))
        arrays = {key: array[snapshot] for key, array in arrays.items() if key != "steps"}
    # Snapshots are stored as float16; all arithmetic is float32.
    arrays = {key: np.ascontiguousarray(array, dtype=np.float32) for key, array in arrays.items()}
    try:
        if "log_std" in arrays:
            return ClippedGaussianPolicy(**arrays)
        return SquashedGaussianPolicy(**arrays)
    except TypeError as error:
        raise DataError(f"the policy {robot}/{name} in the package is damaged: {error}") from None


def ladder_length(robot: str) -> int:
    """Number of snapshots in the robot's ladder."""
    return len(_read(robot, "sac_ladder")["steps"])


def policy_file(robot: str, name: str) -> Traversable:
    """The npz file that holds the policy `name` (not "random"). Raises DataError."""
    stem = "sac_ladder" if name.startswith("ladder-") else name
    file = resources.files("retrieve_rl.reframe") / "policies" / f"{robot}_{stem}.npz"
    if not file.is_file():
        raise DataError(f"the package lacks {file}: install it again")
    return file


def policy_sha256(robot: str, name: str) -> str:
    """Hex digest of the npz file that holds the policy `name` (not "random")."""
    return hashlib.sha256(policy_file(robot, name).read_bytes()).hexdigest()


def _read(robot: str, name: str) -> dict[str, np.ndarray]:
    file = policy_file(robot, name)
    with resources.as_file(file) as path, np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}
