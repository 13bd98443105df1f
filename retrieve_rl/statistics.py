"""Intervals for the means in results."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_RESAMPLES = 2000


def bootstrap_interval(groups: Sequence[Float[np.ndarray, " N"]]) -> tuple[float, float]:
    """95% percentile interval of the mean over all values, resampled in two levels.

    Groups (training runs) are drawn with replacement, then values (episodes) within each; the seed
    is fixed. With one group only its values vary, so the interval says nothing of other runs; the
    interval of one value is that value.

    Raises:
      ValueError: no groups, or an empty one.
    """
    if not groups or any(len(group) == 0 for group in groups):
        raise ValueError("every group needs at least one value")
    rng = np.random.default_rng(0)
    # Means of every group's resamples first: the same distribution, drawn without a Python loop
    # over resamples.
    means = np.stack(
        [
            np.asarray(group, np.float64)[
                rng.integers(0, len(group), (_RESAMPLES, len(groups), len(group)))
            ].mean(axis=2)
            for group in groups
        ]
    )  # [groups, resamples, draws]
    drawn = rng.integers(0, len(groups), (_RESAMPLES, len(groups)))
    picked = means[drawn, np.arange(_RESAMPLES)[:, None], np.arange(len(groups))[None]]
    low, high = np.quantile(picked.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
