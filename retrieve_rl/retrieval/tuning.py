"""How far a sharded ScaNN index must search for a wanted recall, measured and then stored."""

import math
from dataclasses import replace

from retrieve_rl.retrieval.inner_product import NORM_DIMS
from retrieve_rl.retrieval.recall import RecallTest
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.retrieval.sharded import ShardedIndex
from retrieve_rl.signals import UNASKED, StopRequest

# From many to few: with few candidates no number of leaves may be enough, and until a cost is known
# every number is tried.
_REORDERING = (2400, 1800, 1200, 800, 600, 450, 300, 225, 150, 110, 75, 40, 20)
_SHARES_OF_LEAVES = tuple(0.0025 * 2 ** (step / 8) for step in range(70)) + (1.0,)
_BLOCKS_PER_LEAF = 3000.0
"""What a leaf costs beside its keys, in hashed blocks that are read in the same time."""


def searching(index: ShardedIndex, share_of_leaves: float, reordering: int) -> ShardedIndex:
    """Every query asks this share of each shard's leaves, and rescores so many candidates there."""
    shards = tuple(
        replace(shard, index=_searching(shard.index, share_of_leaves, reordering))
        if isinstance(shard.index, ScannIndex)
        else shard
        for shard in index.shards
    )
    return ShardedIndex(shards)


def searched_like(index: ShardedIndex, shards: ShardedIndex) -> ShardedIndex:
    """`shards`, searched as deeply as the ScaNN shards of `index`; where it has none, as built."""
    for shard in index.shards:
        if isinstance(shard.index, ScannIndex):
            share = shard.index.num_leaves_to_search / max(shard.index.parameters.num_leaves, 1)
            return searching(shards, share, shard.index.reordering_num_neighbors)
    return shards


def tune(
    index: ShardedIndex, test: RecallTest, wanted: float, stop: StopRequest = UNASKED
) -> ShardedIndex:
    """The cheapest search of `index` whose recall@10 is at least `wanted`, else the best one.

    The cost is counted (leaves, hashed blocks, candidates), not timed, so that a build ends with
    the same parameters whatever else the machine does. The measured recall must exceed `wanted` by
    its standard error, lest one index in two fall short of it on other queries.

    Raises:
      Interrupted: a signal asked to stop.
    """
    best, best_cost = None, math.inf
    for reordering in _REORDERING:
        low, high = 0, len(_SHARES_OF_LEAVES)
        while low < high:
            stop.raise_if_requested("the shards are kept: run again to tune the search")
            middle = (low + high) // 2
            candidate = searching(index, _SHARES_OF_LEAVES[middle], reordering)
            if _cost(candidate) >= best_cost:
                high = middle
            elif _reaches(wanted, *test.recall(candidate)):
                best, best_cost, high = candidate, _cost(candidate), middle
            else:
                low = middle + 1
    return best or searching(index, 1.0, max(_REORDERING))


def _reaches(wanted: float, recall: float, error: float) -> bool:
    return recall - error >= wanted


def _searching(index: ScannIndex, share_of_leaves: float, reordering: int) -> ScannIndex:
    leaves = max(1, round(share_of_leaves * index.parameters.num_leaves))
    return index.searching(num_leaves_to_search=leaves, reordering_num_neighbors=reordering)


def _blocks_per_candidate(num_keys: int) -> float:
    """What it costs to score a candidate again, in hashed blocks.

    It is read from anywhere in the kept keys, which takes the longer the more there are: 1,600,
    3,300 and 9,200 blocks were measured on one, five and fifty million keys.
    """
    return 1.4 * math.sqrt(num_keys)


def _cost(index: ShardedIndex) -> float:
    """Of a query, in blocks read."""
    total = 0.0
    for shard in index.shards:
        if isinstance(shard.index, ScannIndex):
            scann = shard.index
            rows = scann.num_keys / max(scann.parameters.num_leaves, 1)
            blocks = NORM_DIMS + len(scann.parameters.block_widths)
            leaf = rows * blocks + _BLOCKS_PER_LEAF
            total += scann.num_leaves_to_search * leaf
            total += scann.reordering_num_neighbors * _blocks_per_candidate(scann.num_keys)
    return total
