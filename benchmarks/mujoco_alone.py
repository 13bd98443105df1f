"""MuJoCo's environments stepped with given actions: what no program that uses them can beat."""

from collections.abc import Sequence
from typing import NamedTuple

import gymnasium
import numpy as np


class Actions(NamedTuple):
    """What was done in some episodes.

    Attributes:
      env_id: Gymnasium's.
      seeds: what `reset` gets, one an episode.
      actions: [T, A] of each episode.
    """

    env_id: str
    seeds: Sequence[int]
    actions: Sequence[np.ndarray]


def replay(episodes: Actions) -> int:
    """Steps the episodes one after the other in one environment without wrappers; their steps."""
    env = gymnasium.make(episodes.env_id, disable_env_checker=True).unwrapped
    for seed, actions in zip(episodes.seeds, episodes.actions, strict=True):
        env.reset(seed=seed)
        for action in actions:
            env.step(action)
    return sum(map(len, episodes.actions))
