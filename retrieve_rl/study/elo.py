"""Differences of ratings that the scores of matches stand for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from retrieve_rl.statistics import elo
from retrieve_rl.study.intervals import (
    EPISODES_ONLY,
    NamedScores,
    Scores,
    aligned,
    interval_of_means,
    redraw,
)

SCORE = "score"
"""The measure of a match: the share of its points."""
_RESAMPLES = 2000
_LEAST_VARIANCE = 1e-6  # Where both won everything, all seeds did: any slope will do.
Pairs = Sequence[Sequence[Scores]]
"""Both sides of each seed."""


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

    Of one seed, a bootstrap draws openings, the same for both; an end is None where it is infinite.
    Of several, it is Student's t over the seeds, each rated along the tangents at the mean scores
    (delta method). None where nothing can be paired, or the difference itself is infinite.
    """
    pairs = aligned(first, second)
    found = _difference(pairs) if pairs else math.inf
    if not math.isfinite(found):
        return None
    if len(pairs) > 1:
        of_seeds = interval_of_means(_along_tangents(pairs, found))
        return {"mean": found, **_ends(of_seeds.low, of_seeds.high), "interval": of_seeds.of}
    rng = np.random.default_rng(0)
    drawn = sorted(_difference([redraw(pairs[0], rng)]) for _ in range(_RESAMPLES))
    low, high = drawn[int(0.025 * _RESAMPLES)], drawn[int(0.975 * _RESAMPLES)]
    return {"mean": found, **_ends(low, high), "interval": EPISODES_ONLY}


def _ends(low: float | None, high: float | None) -> dict[str, float | None]:
    return {
        name: end if end is not None and math.isfinite(end) else None
        for name, end in (("low", low), ("high", high))
    }


def _means(pairs: Pairs) -> Float[np.ndarray, "2 S"]:
    """Of both sides, of every seed."""
    return np.array([[side.mean for side in pair] for pair in pairs]).T


def _along_tangents(pairs: Pairs, difference: float) -> list[float]:
    """What each seed would add to the difference of ratings, were a rating linear in the score."""
    means = _means(pairs)
    center = means.mean(axis=1, keepdims=True)
    slopes = 400 / math.log(10) / np.maximum(center * (1 - center), _LEAST_VARIANCE)
    mine, theirs = slopes * (means - center)
    return list(difference + mine - theirs)


def _difference(pairs: Pairs) -> float:
    """Infinite where one side alone won or lost everything; nothing where both did."""
    mine, theirs = map(float, _means(pairs).mean(axis=1))
    if mine == theirs:
        return 0.0
    ratings = elo(mine), elo(theirs)
    if ratings[0] is None or ratings[1] is None:
        return math.copysign(math.inf, mine - theirs)
    return ratings[0] - ratings[1]
