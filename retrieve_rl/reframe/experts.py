"""Which expert episodes a run may use: drawn by the seed, nested in size, the same in every arm."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from retrieve_rl.errors import UsageError

_SPLIT_FROM = 40
"""Sets smaller than this are used whole: there is nothing to hold out."""


class ExpertDraw(NamedTuple):
    """Episode numbers in the expert set.

    Attributes:
      memory: the drawn episodes; a smaller draw with the same seed is a prefix of a larger one.
      held_out: episodes no arm ever trains on, for reporting; empty in a small set.
    """

    memory: Int[np.ndarray, " M"]
    held_out: Int[np.ndarray, " H"]


def draw_experts(num_episodes: int, num_experts: int, *, seed: int, tuning: bool) -> ExpertDraw:
    """Draws `num_experts` of a set of `num_episodes` expert episodes.

    The first half of the set serves published results and the second half tuning, so that no
    setting is chosen on episodes it is later judged with; the last fifth of a half, at most 20
    episodes, is held out. Of the bundled 200 that leaves 80 to draw from and 20 held out.

    Raises:
      UsageError: more episodes asked for than there are to draw from.
    """
    if num_episodes < _SPLIT_FROM:
        pool, held_out = np.arange(num_episodes), np.arange(0)
    else:
        half = num_episodes // 2
        episodes = np.arange(half) + (half if tuning else 0)
        num_held_out = min(20, half // 5)
        pool, held_out = episodes[:-num_held_out], episodes[-num_held_out:]
    if num_experts > pool.size:
        raise UsageError(
            f"data.num_experts = {num_experts}, but only {pool.size} of the {num_episodes} expert"
            " episodes can be drawn: ask for fewer"
        )
    order = np.random.default_rng([seed, 0xE7]).permutation(pool)
    return ExpertDraw(order[:num_experts], held_out)
