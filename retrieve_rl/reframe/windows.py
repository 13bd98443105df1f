"""Training windows: fixed-length, left-padded pieces of episodes, sampled on the device.

All steps lie in one `StepTable`; a window is the `context_len` rows that end at one step of an
episode, so a step near the beginning gives a window padded on the left, as when acting.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from retrieve_rl.reframe.episodes import Episodes, returns_to_go
from retrieve_rl.types import Array


class Normalizer(NamedTuple):
    """Per-dimension statistics that standardize observations.

    Attributes:
      mean: [O].
      std: [O], at least 1e-3, so that a constant dimension stays finite.
    """

    mean: Float[np.ndarray, " O"]
    std: Float[np.ndarray, " O"]

    def __call__(self, observations: Float[np.ndarray, "*B O"]) -> Float[np.ndarray, "*B O"]:
        return ((observations - self.mean) / self.std).astype(np.float32)


def fit_normalizer(observations: Float[np.ndarray, "S O"]) -> Normalizer:
    """Mean and standard deviation of each dimension, accumulated in float64."""
    mean = observations.mean(axis=0, dtype=np.float64)
    std = observations.std(axis=0, dtype=np.float64)
    return Normalizer(mean.astype(np.float32), np.maximum(std, 1e-3).astype(np.float32))


class StepTable(NamedTuple):
    """Every step of some episodes, in order.

    Attributes:
      observations: standardized.
      actions: as recorded.
      returns_to_go: divided by the return scale.
      timesteps: 0 at the first step of an episode.
      trajectories: number of the step's episode.
    """

    observations: Float[Array, "S O"]
    actions: Float[Array, "S A"]
    returns_to_go: Float[Array, " S"]
    timesteps: Int[Array, " S"]
    trajectories: Int[Array, " S"]

    @property
    def num_steps(self) -> int:
        return self.timesteps.shape[0]


class Window(NamedTuple):
    """A batch of left-padded windows; the last step is always real.

    Attributes:
      mask: False at padded steps, whose other entries are zero.
    """

    observations: Float[Array, "B T O"]
    actions: Float[Array, "B T A"]
    returns_to_go: Float[Array, "B T"]
    timesteps: Int[Array, "B T"]
    mask: Bool[Array, "B T"]


def step_table(episodes: Episodes, normalizer: Normalizer, return_scale: float) -> StepTable:
    """Standardizes and labels the steps of `episodes` (host arrays)."""
    lengths = np.diff(episodes.offsets)
    first = np.repeat(episodes.offsets[:-1], lengths)
    return StepTable(
        observations=normalizer(episodes.observations),
        actions=episodes.actions,
        returns_to_go=(returns_to_go(episodes) / return_scale).astype(np.float32),
        timesteps=(np.arange(episodes.num_steps) - first).astype(np.int32),
        trajectories=np.repeat(np.arange(lengths.size, dtype=np.int32), lengths),
    )


def concatenate(tables: list[StepTable]) -> StepTable:
    """One table after the other; trajectory numbers keep counting."""
    numbered = []
    next_trajectory = 0
    for table in tables:
        numbered.append(table._replace(trajectories=table.trajectories + next_trajectory))
        next_trajectory += int(table.trajectories[-1]) + 1 if table.num_steps else 0
    return StepTable(*(np.concatenate(columns) for columns in zip(*numbered, strict=True)))


class Counts(NamedTuple):
    """How many rows, or windows, are of what; a table holds them in this order."""

    data: int
    experts: int


def sample_rows(
    rng_keys: tuple[PRNGKeyArray, PRNGKeyArray], table: Counts, batch: Counts
) -> Int[Array, " B"]:
    """Last rows of a batch of windows: those of experts, then of the data set.

    Rows are drawn uniformly, hence episodes in proportion to their length.

    Args:
      rng_keys: for the data set and for the experts.
    """
    data_key, expert_key = rng_keys
    drawn = [
        (expert_key, table.data, table.experts, batch.experts),
        (data_key, 0, table.data, batch.data),
    ]
    return jnp.concatenate(
        [
            first + jax.random.randint(key, (count,), 0, max(rows, 1))
            for key, first, rows, count in drawn
        ]
    )


def window_rows(
    table: StepTable, last_rows: Int[Array, " B"], context_len: int
) -> tuple[Int[Array, "B T"], Bool[Array, "B T"]]:
    """The rows of the windows that end at `last_rows`, clipped to valid ones, and their mask."""
    back = jnp.arange(context_len - 1, -1, -1)
    rows = last_rows[:, None] - back[None, :]
    mask = back[None, :] <= table.timesteps[last_rows][:, None]
    return jnp.where(mask, rows, last_rows[:, None]), mask


def gather_window(table: StepTable, rows: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Window:
    """Reads a window's rows; padded steps become zeros."""
    return Window(
        observations=jnp.where(mask[..., None], table.observations[rows], 0.0),
        actions=jnp.where(mask[..., None], table.actions[rows], 0.0),
        returns_to_go=jnp.where(mask, table.returns_to_go[rows], 0.0),
        timesteps=jnp.where(mask, table.timesteps[rows], 0),
        mask=mask,
    )
