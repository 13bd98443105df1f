"""Differences of ratings that the scores of matches stand for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retrieve_rl.statistics import elo
from retrieve_rl.study.intervals import (
    EPISODES_ONLY,
    TWO_LEVELS,
    NamedScores,
    Scores,
    aligned,
    redraw,
)

SCORE = "score"
"""The measure of a match: the share of its points."""
_RESAMPLES = 2000


def elo_of(score: Mapping[str, Any]) -> dict[str, float | None]:
    """The opponent's distance in Elo at a score and the ends of its interval; None where infinite.

    Of the score as a whole: the mean of the seeds' own Elos would give the extreme ones the most
    weight, or leave out those that are infinite.
    """
    ends = {name: score[name] for name in ("mean", "low", "high")}
    return {name: None if end is None else elo(end) for name, end in ends.items()}


def elo_difference(
    first: Mapping[int, NamedScores], second: Mapping[int, NamedScores]
) -> dict[str, Any] | None:
    """The Elo of `first` less that of `second` over the pairs both have, with its 95% interval.

    A bootstrap draws seeds, then openings in each, the same for both; an end is None where it is
    infinite. None where nothing can be paired, or the difference itself is infinite.
    """
    pairs = aligned(first, second)
    found = _difference(pairs) if pairs else math.inf
    if not math.isfinite(found):
        return None
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_RESAMPLES):
        picked = [pairs[number] for number in rng.integers(0, len(pairs), len(pairs))]
        drawn.append(_difference([redraw(pair, rng) for pair in picked]))
    drawn.sort()
    low, high = drawn[int(0.025 * _RESAMPLES)], drawn[int(0.975 * _RESAMPLES)]
    return {
        "mean": found,
        "low": low if math.isfinite(low) else None,
        "high": high if math.isfinite(high) else None,
        "interval": EPISODES_ONLY if len(pairs) == 1 else TWO_LEVELS,
    }


def _difference(pairs: Sequence[Sequence[Scores]]) -> float:
    """Infinite where one side alone won or lost everything; nothing where both did."""
    mine, theirs = (
        float(np.mean([side.mean for side in sides])) for sides in zip(*pairs, strict=True)
    )
    if mine == theirs:
        return 0.0
    ratings = elo(mine), elo(theirs)
    if ratings[0] is None or ratings[1] is None:
        return math.copysign(math.inf, mine - theirs)
    return ratings[0] - ratings[1]
