"""The settings at which a search finds enough: from quick to thorough, then the least that do."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

WANTED = 0.95
ENOUGH = 0.98
"""Recall beyond which a system is not asked to be more thorough."""
ROUNDS, NEAR = 3, 50
"""Searches of a setting; and the part of a depth to which the least one is known."""

Setting = dict[str, int]
Noted = dict[str, Any]
"""A setting, and the recall@10 and the queries a second that were measured of it."""


class System(NamedTuple):
    """A search with two dials.

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
    """Every setting up to those that find more than enough, and for every number of candidates the
    least depth that finds the wanted share: recall rises with depth, so it is found by halving."""
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

    for depth in system.depths:
        if max([note(depth, rescoring) for rescoring in system.rescorings]) >= ENOUGH:
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


def fastest(noted: Sequence[Noted], count: int) -> list[Setting]:
    """The settings that find the wanted share, the fastest first, `count` at most."""
    enough = [one for one in noted if one["recall_at_10"] >= WANTED]
    enough.sort(key=lambda one: -one["queries_per_second"])
    return [one["setting"] for one in enough[:count]]
