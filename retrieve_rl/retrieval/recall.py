"""Rows of an index that ask it for their neighbors, as it will be asked."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.groups import without_rows
from retrieve_rl.retrieval.index import Index
from retrieve_rl.retrieval.keys import read_at_random
from retrieve_rl.retrieval.neighbors import NO_GROUP, Neighbors
from retrieve_rl.retrieval.over_fetch import search_over_fetching
from retrieve_rl.retrieval.quality import RECALL_AT, quantiles, recall_of_each, true_neighbors
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.sharded import ShardedIndex, merge, no_neighbors, renumber

_MOST_HIDDEN = 1000
"""Rows of a group that is hidden from its own query."""


@dataclass(frozen=True)
class RecallTest:
    """A row asks the other half; without halves none of its own group; without groups not itself.

    Neighbors of one's own group are the easiest to find: counted among the others they make an
    index seem better than it is to whoever hides them, or asks from outside. Where groups are so
    large that hiding one would take fetching most of the index, only the row itself is left out.

    Attributes:
      keys: all keys.
      apart: the half of every row, else its group: a row is not to meet its own; None without.
      asks: "the other half", "other groups" or "other rows".
      rows: those that ask.
      queries: their keys.
      truth: their true neighbors among the parts of the keys seen so far, one more than is asked.
    """

    keys: Float[np.ndarray, "N D"]
    apart: Int[np.ndarray, " N"] | None
    asks: str
    rows: Int[np.ndarray, " B"]
    queries: Float[np.ndarray, "B D"]
    truth: Neighbors

    @classmethod
    def draw(cls, rows: Rows, num_queries: int = 512) -> "RecallTest":
        """Draws those that ask by a fixed seed; no part of the keys has been seen yet."""
        count = min(num_queries, len(rows.keys))
        asking = np.sort(np.random.default_rng(0).choice(len(rows.keys), count, replace=False))
        with read_at_random(rows.keys):
            queries = np.ascontiguousarray(rows.keys[asking])
        apart, asks = None, "other rows"
        if rows.second_half is not None:
            apart, asks = rows.second_half.view(np.int8), "the other half"
        elif rows.groups is not None and _can_be_hidden(rows.groups, asking):
            apart, asks = rows.groups, "other groups"
        return cls(rows.keys, apart, asks, asking, queries, no_neighbors(count, 0))

    def seeing(
        self, part: Float[np.ndarray, "R D"], rows: int | Int[np.ndarray, " R"] = 0
    ) -> "RecallTest":
        """With the true neighbors in `part` too, whose rows of the whole are `rows`."""
        numbers = rows + np.arange(len(part)) if isinstance(rows, int) else rows
        if self.apart is None:
            found = true_neighbors(part, self.queries, RECALL_AT + 2)
            found = without_rows(renumber(found, numbers), self.rows, RECALL_AT + 1)
        else:
            # By their places among the queries' own, for those fit into 32 bits.
            different, own = np.unique(self.apart[self.rows], return_inverse=True)
            there = self.apart[numbers]
            places = np.searchsorted(different, there).clip(max=len(different) - 1)
            places = np.where(different[places] == there, places, NO_GROUP).astype(np.int32)
            hidden = own[:, None].astype(np.int32)
            found = true_neighbors(part, self.queries, RECALL_AT + 1, places, hidden)
            found = renumber(found, numbers)
        return replace(self, truth=merge([self.truth, found], RECALL_AT + 1))

    def recall(self, index: Index) -> tuple[float, float]:
        """recall@10 of the index, and its standard error over the queries."""
        shares = recall_of_each(self._asked(index), self.truth, self.keys, self.queries)
        answerable = np.asarray(self.truth.indices)[:, 0] >= 0
        shares = shares[answerable] if answerable.any() else shares
        return float(np.mean(shares)), float(np.std(shares) / np.sqrt(len(shares)))

    def _asked(self, index: Index) -> Neighbors:
        """What the index finds, as `retrieve` and `precompute_neighbors` ask it."""
        if self.apart is None:
            found = index.search(self.queries, RECALL_AT + 1)
            return without_rows(found, self.rows, RECALL_AT)
        own = self.apart[self.rows]
        if isinstance(index, ShardedIndex):
            first, second = index.half(0), index.half(1)
            if first is not None and second is not None:
                answers = (half.search(self.queries, RECALL_AT) for half in (first, second))
                asks_first = (own == 1)[:, None]
                return Neighbors(
                    *(np.where(asks_first, *part) for part in zip(*answers, strict=True))
                )
        groups = self.apart
        return search_over_fetching(
            index, len(self.keys), lambda rows: groups[rows], self.queries, RECALL_AT, own[:, None]
        )

    def report(self, index: Index) -> dict[str, Any]:
        """What a result file says of the index."""
        distances = np.asarray(self.truth.distances)
        return {
            "recall_at_10": self.recall(index)[0],
            "recall_queries": len(self.rows),
            "recall_asks": self.asks,
            "distances": {
                "first": quantiles(distances[:, 0]),
                "tenth": quantiles(distances[:, RECALL_AT - 1]),
            },
        }


def _can_be_hidden(groups: Int[np.ndarray, " N"], asking: Int[np.ndarray, " B"]) -> bool:
    """Whether no query's own group is large, or most of all rows."""
    different = np.unique(groups[asking])
    places = np.searchsorted(different, groups).clip(max=len(different) - 1)
    sizes = np.bincount(places[different[places] == groups])
    return bool(sizes.max() <= min(_MOST_HIDDEN, len(groups) // 2))
