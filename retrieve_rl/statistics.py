"""Intervals for the means in results."""

import math

import numpy as np
from jaxtyping import Bool, Float, Shaped

_RESAMPLES = 2000


def bootstrap_interval(values: Float[np.ndarray, " N"]) -> tuple[float, float]:
    """95% percentile interval of the mean of values (episodes), resampled; the seed is fixed.

    Raises:
      ValueError: there are no values.
    """
    if len(values) == 0:
        raise ValueError("an interval needs at least one value")
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(np.asarray(values, np.float64)[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


class GroupResamples:
    """Bootstrap of whole groups (games): every mean over the same rows sees the same resamples."""

    def __init__(self, groups: Shaped[np.ndarray, " N"]) -> None:
        names, self._member = np.unique(groups, return_inverse=True)
        self._count = len(names)
        shares = np.full(self._count, 1.0 / self._count)
        draws = np.random.default_rng(0).multinomial(self._count, shares, size=_RESAMPLES)
        self._draws = draws.astype(np.int16)

    def mean(
        self, values: Float[np.ndarray, " N"], counted: Bool[np.ndarray, " N"] | None = None
    ) -> dict[str, float | None]:
        """Mean of the counted rows, and its 95% percentile interval; None where none is counted.

        Rows of a group that was drawn twice count twice.
        """
        weights = np.ones(len(values)) if counted is None else counted.astype(np.float64)
        if not weights.any():
            return {"mean": None, "low": None, "high": None}
        chosen = np.where(weights > 0.0, values, 0.0)
        totals = np.stack(
            [np.bincount(self._member, part, self._count) for part in (chosen, weights)], axis=1
        )
        sums = self._draws @ totals  # [resamples, 2]
        drawn = sums[sums[:, 1] > 0.0]
        low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
        total, count = totals.sum(axis=0)
        return {"mean": float(total / count), "low": float(low), "high": float(high)}


def elo(score: float) -> float | None:
    """The difference of ratings at which this score is expected; None at 0 and 1."""
    return 400 * math.log10(score / (1 - score)) if 0 < score < 1 else None
