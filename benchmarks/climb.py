"""The settings at which a search finds enough: from quick to thorough, then the least that do."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

WANTED = 0.95
ENOUGH, NO_GAIN = 0.98, 0.001
"""A system is not asked to be more thorough beyond this recall, or where that does not help."""
TOO_SLOW = 0.8
"""Nor where even its quickest setting is slower than this part of the fastest that finds enough."""
ROUNDS, NEAR = 3, 50
"""Searches of a setting; and the part of a depth to which the least one is known."""

Setting = dict[str, int]
Noted = dict[str, Any]
"""A setting, and the recall@10 and the queries a second that were measured of it."""


class System(NamedTuple):
    """A search with one dial or two.

    Attributes:
      depth: the setting that says how much is looked at.
      depths: its values, rising.
      rescoring: the setting that says how many candidates are scored again; None: there is none.
      rescorings: its values.
      search: seconds of one search of all queries at a setting, and the rows found [B, K].
    """

    depth: str
    depths: Sequence[int]
    rescoring: str | None
    rescorings: Sequence[int]
    search: Callable[[Setting], tuple[float, np.ndarray]]

    def setting(self, depth: int, rescoring: int) -> Setting:
        return {self.depth: depth} | ({self.rescoring: rescoring} if self.rescoring else {})


def climb(system: System, recall_of: Callable[[np.ndarray], float]) -> list[Noted]:
    """Every setting up to those that find more than enough, or find enough more slowly than others;
    for every number of candidates that has found enough by then, also the least depth that does, by
    halving as if recall always rose.
    """
    noted: dict[tuple[int, int], Noted] = {}

    def note(depth: int, rescoring: int) -> float:
        setting = system.setting(depth, rescoring)
        timed = [system.search(setting) for _ in range(ROUNDS)]
        recall = recall_of(timed[0][1])
        rate = len(timed[0][1]) / statistics.median(seconds for seconds, _ in timed)
        noted[depth, rescoring] = {
            "setting": setting,
            "recall_at_10": recall,
            "queries_per_second": rate,
        }
        return recall

    best = 0.0
    for depth in system.depths:
        before, best = best, max([note(depth, candidates) for candidates in system.rescorings])
        if best >= ENOUGH or best - before < NO_GAIN:
            break
        quickest = max(noted[depth, of]["queries_per_second"] for of in system.rescorings)
        if quickest < TOO_SLOW * _fastest_rate(noted.values()):
            break
    for rescoring in system.rescorings:
        found = {
            depth: one["recall_at_10"] for (depth, of), one in noted.items() if of == rescoring
        }
        enough = [depth for depth, recall in found.items() if recall >= WANTED]
        if not enough:
            continue
        high = min(enough)
        low = max([depth for depth in found if depth < high], default=0)
        while high - low > max(1, high // NEAR):
            middle = (low + high) // 2
            if note(middle, rescoring) >= WANTED:
                high = middle
            else:
                low = middle
    return [noted[dials] for dials in sorted(noted)]


def _fastest_rate(noted: Iterable[Noted]) -> float:
    """Of those that find the wanted share."""
    enough = [one for one in noted if one["recall_at_10"] >= WANTED]
    return max([one["queries_per_second"] for one in enough], default=0.0)


def fastest(system: System, noted: Sequence[Noted], count: int) -> list[Noted]:
    """Of each number of candidates the least depth that finds the wanted share; of these the
    fastest, `count` at most."""
    least: dict[int | None, Noted] = {}
    for one in noted:  # rising in depth
        if one["recall_at_10"] >= WANTED:
            least.setdefault(one["setting"].get(system.rescoring), one)
    return sorted(least.values(), key=lambda one: -one["queries_per_second"])[:count]
