"""How sure a study's numbers are: intervals over training runs and evaluation episodes.

A training run is a seed. With one seed an interval speaks of the evaluation episodes only, which
are drawn with replacement; with more it is Student's t over the seeds' means. Drawing the seeds
with replacement, as Agarwal et al. (2021) do, makes intervals too narrow where seeds are few: those
of five by a third.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

EPISODES_ONLY = "evaluation episodes only"
T_OVER_SEEDS = "t over seed means"
_RESAMPLES = 2000


@dataclass(frozen=True)
class Scores:
    """What one training run got in each of its evaluation episodes.

    Attributes:
      totals: one a episode; where an episode counts for several (the positions of a game), their
        sum.
      counts: for how many each counts.
    """

    totals: Float[np.ndarray, " N"]
    counts: Float[np.ndarray, " N"]

    @property
    def mean(self) -> float:
        return float(self.totals.sum() / self.counts.sum())

    @property
    def values(self) -> Float[np.ndarray, " N"]:
        """The mean of each episode."""
        return self.totals / self.counts

    def __len__(self) -> int:
        return len(self.totals)


Task = Sequence[Scores]
"""The runs of one task, one a seed."""


class Estimate(NamedTuple):
    """A mean and its 95% interval.

    Attributes:
      low, high: None where there is no interval of this kind.
      of: what the interval is over, one of the names above.
    """

    mean: float
    low: float | None
    high: float | None
    of: str


def scores_of(values: Sequence[float]) -> Scores:
    """Episodes that count for one each."""
    totals = np.asarray(values, np.float64)
    return Scores(totals, np.ones_like(totals))


def mean_over_tasks(tasks: Sequence[Task]) -> Estimate:
    """The mean over tasks of the mean over runs; stratified: every task keeps its own runs.

    With several tasks the t interval has Welch's and Satterthwaite's degrees of freedom. One seed
    in any task leaves an interval over episodes.

    Raises:
      ValueError: no task, or one without runs, or a run without episodes.
    """
    _check(tasks)
    mean = _mean_of(tasks)
    if _several_seeds(tasks):
        return Estimate(mean, *_t_interval(tasks, mean), T_OVER_SEEDS)
    return Estimate(mean, *_bootstrap(tasks, _mean_of), EPISODES_ONLY)


def interquartile_mean_over_tasks(tasks: Sequence[Task]) -> Estimate:
    """The mean of the middle half of all episodes, of all runs and tasks together.

    Several seeds leave it without an interval.
    """
    _check(tasks)
    mean = _interquartile_mean_of(tasks)
    if _several_seeds(tasks):
        return Estimate(mean, None, None, T_OVER_SEEDS)
    return Estimate(mean, *_bootstrap(tasks, _interquartile_mean_of), EPISODES_ONLY)


class NamedScores(NamedTuple):
    """Scores whose episodes can be found in another run.

    Attributes:
      episodes: what names each: the seed of its first state, or the digest of its game.
    """

    episodes: Sequence[int | str]
    scores: Scores


def paired_differences(
    first: Mapping[int, NamedScores], second: Mapping[int, NamedScores]
) -> list[Scores]:
    """`first` less `second`, a run for each seed that both have, over the episodes both have."""
    return [
        Scores(mine.totals - theirs.totals, mine.counts) for mine, theirs in aligned(first, second)
    ]


def aligned(
    first: Mapping[int, NamedScores], second: Mapping[int, NamedScores]
) -> list[tuple[Scores, Scores]]:
    """Both runs of each seed that both have, over the episodes both have, in one order.

    An episode that counts differently in the two is not the same and is left out; so is a seed
    without a common episode.
    """
    found = []
    for seed in sorted(first.keys() & second.keys()):
        mine, theirs = first[seed], second[seed]
        places = {episode: place for place, episode in enumerate(theirs.episodes)}
        pairs = [
            (place, places[episode])
            for place, episode in enumerate(mine.episodes)
            if episode in places
            and mine.scores.counts[place] == theirs.scores.counts[places[episode]]
        ]
        if pairs:
            here, there = np.array(pairs).T
            found.append((_some_of(mine.scores, here), _some_of(theirs.scores, there)))
    return found


def interval_of_means(means: Sequence[float]) -> Estimate:
    """The mean of the seeds' means and its t interval; None without two seeds."""
    mean = float(np.mean(means))
    if len(means) < 2:
        return Estimate(mean, None, None, EPISODES_ONLY)
    return Estimate(mean, *_t_interval([[scores_of([each]) for each in means]], mean), T_OVER_SEEDS)


def _several_seeds(tasks: Sequence[Task]) -> bool:
    return min(len(runs) for runs in tasks) > 1


def _check(tasks: Sequence[Task]) -> None:
    if not tasks or not all(tasks) or any(len(run) == 0 for runs in tasks for run in runs):
        raise ValueError("every task needs a run, and every run an episode")


def _mean_of(tasks: Sequence[Task]) -> float:
    return float(np.mean([np.mean([run.mean for run in runs]) for runs in tasks]))


def _interquartile_mean_of(tasks: Sequence[Task]) -> float:
    pooled = np.concatenate([run.values for runs in tasks for run in runs])
    return float(stats.trim_mean(pooled, 0.25))


def _t_interval(tasks: Sequence[Task], mean: float) -> tuple[float, float]:
    """Every task has at least two runs, or every one a single episode of several."""
    means = [np.array([run.mean for run in runs]) for runs in tasks]
    variances = np.array([of_task.var(ddof=1) / len(of_task) for of_task in means])
    if not variances.any():
        return mean, mean
    freedom = variances.sum() ** 2 / sum(
        variance**2 / (len(of_task) - 1) for variance, of_task in zip(variances, means, strict=True)
    )
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variances.sum()) / len(tasks)
    return float(mean - half), float(mean + half)


def _bootstrap(
    tasks: Sequence[Task], statistic: Callable[[Sequence[Task]], float]
) -> tuple[float, float]:
    """95% percentile interval: in every run episodes are drawn with replacement; seed 0."""
    rng = np.random.default_rng(0)
    found = [
        statistic([[redraw((run,), rng)[0] for run in runs] for runs in tasks])
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def redraw(runs: Sequence[Scores], rng: np.random.Generator) -> list[Scores]:
    """Episodes drawn with replacement, the same of all runs."""
    rows = rng.integers(0, len(runs[0]), len(runs[0]))
    return [_some_of(run, rows) for run in runs]


def _some_of(run: Scores, rows: Int[np.ndarray, " R"]) -> Scores:
    return Scores(run.totals[rows], run.counts[rows])
