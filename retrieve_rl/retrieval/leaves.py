"""Leaves: a partition of keys by k-means, and the leaf of a key where there are many."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.neighbors import product
from retrieve_rl.retrieval.scann_config import COMPARED_LEAVES, LISTED_LEAVES, NUM_GROUPS
from retrieve_rl.types import Array

ROWS_AT_ONCE = 128
"""So few that their scores of all leaves stay in a processor's cache."""
_ITERATIONS = 10
_GROUP_BLOCK = 256
_SCORE_BLOCK = 64


class Centers(NamedTuple):
    """C centers, made ready to find the one nearest to a key.

    Attributes:
      origin: near them. Far from it scores would drown in rounding.
      offsets: of the centers from there, and zeros up to a whole number of score blocks.
      norms: squared, of the offsets; infinite where there is no center.
    """

    origin: Float[Array, " D"]
    offsets: Float[Array, "P D"]
    norms: Float[Array, " P"]


class SampleGroups(NamedTuple):
    """A coarse partition of a sample of keys.

    Attributes:
      centers: of the groups.
      of_keys: the group of each key.
    """

    centers: Float[np.ndarray, "G D"]
    of_keys: Int[np.ndarray, " S"]


class LeafGroups(NamedTuple):
    """A coarser grouping of the leaves.

    Attributes:
      groups: their centers.
      leaves: numbers of the leaves that lie near each group; a leaf is listed by several.
      centers: of those leaves, as seen from their group; a leading axis of G.
    """

    groups: Centers
    leaves: Int[Array, "G C"]
    centers: Centers


class Leaves(NamedTuple):
    """Where keys are sorted into.

    Attributes:
      centers: a key's leaf is the one with the nearest center.
      search: finds it: all centers, or groups of them where there are too many to compare with all.
    """

    centers: Float[Array, "L D"]
    search: Centers | LeafGroups


def make_leaves(keys: Float[np.ndarray, "S D"], num_leaves: int) -> Leaves:
    """Partitions a sample of keys by k-means, begun in two levels.

    One level would take k-means++ a time that grows with the square of the leaves.
    """
    rng = np.random.default_rng(0)
    count = min(len(keys), round(np.sqrt(num_leaves)))
    coarse = _kmeans(keys[:: max(1, len(keys) // (256 * count))], count, rng)
    coarse_labels = _leaves_of(compared(coarse), keys)
    members = [np.flatnonzero(coarse_labels == group) for group in np.unique(coarse_labels)]
    parts = [
        _kmeans(keys[rows], share, rng)
        for rows, share in zip(members, _shares(members, num_leaves), strict=True)
    ]
    centers = np.concatenate(parts)
    if len(centers) <= COMPARED_LEAVES:
        for _ in range(_ITERATIONS):
            centers = means(keys, _leaves_of(compared(centers), keys), centers)
        return compared(centers)
    groups = groups_of(keys, centers)
    labels = np.empty(len(keys), np.int32)
    firsts = np.cumsum([0, *map(len, parts[:-1])])
    for rows, part, first in zip(members, parts, firsts, strict=True):
        labels[rows] = first + _nearest_of_few(part, keys[rows])
    for _ in range(_ITERATIONS):
        centers = means(keys, labels, centers)
        labels = _leaves_of(grouped(centers, groups, labels), keys)
    return grouped(centers, groups, labels)


def compared(centers: Float[np.ndarray, "L D"]) -> Leaves:
    """Leaves of which a key is compared with all."""
    return Leaves(jnp.asarray(centers), _ready(centers, np.mean(centers, axis=0)))


def groups_of(keys: Float[np.ndarray, "S D"], centers: Float[np.ndarray, "L D"]) -> SampleGroups:
    """Groups of k-means over the centers of leaves, and the one that each key is nearest to.

    It begins at leaves drawn evenly: where most of them lie close together, most groups must.
    """
    drawn = np.random.default_rng(0).choice(len(centers), NUM_GROUPS, replace=False)
    around = _lloyd(centers, centers[drawn])
    return SampleGroups(around, _nearest_of_few(around, keys))


def grouped(
    centers: Float[np.ndarray, "L D"], groups: SampleGroups, labels: Int[np.ndarray, " S"]
) -> Leaves:
    """Leaves of which a key is compared with those near its group.

    These are first the leaves that most keys of the group fell into, then the nearest ones: the
    nearest alone miss the leaf of one key in ten where keys lie in clusters.

    Args:
      labels: the leaves of the keys that were grouped.
    """
    around, num_leaves = groups.centers, len(centers)
    distances = np.sum(centers**2, axis=1) - 2.0 * around @ centers.T
    cells = groups.of_keys * num_leaves + labels
    fell = np.bincount(cells, minlength=distances.size).reshape(distances.shape)
    ranks = distances - fell * 2.0 * np.ptp(distances)
    near = np.argpartition(ranks, LISTED_LEAVES - 1, axis=1)[:, :LISTED_LEAVES].astype(np.int32)
    offsets = centers[near] - around[:, None]
    near_centers = Centers(
        jnp.asarray(around), jnp.asarray(offsets), jnp.asarray(np.sum(offsets**2, axis=2))
    )
    ready = _ready(around, np.mean(around, axis=0))
    return Leaves(jnp.asarray(centers), LeafGroups(ready, jnp.asarray(near), near_centers))


@jax.jit
def leaves_of(leaves: Leaves, keys: Float[Array, "R D"]) -> Int[Array, " R"]:
    """The leaf of each key; pure. R as of `padded`.

    With groups it is the nearest of those near the key's group: now and then the second nearest.
    """
    search = leaves.search
    if isinstance(search, Centers):
        return in_blocks(partial(_nearest_center, search), keys)
    group_of = in_blocks(partial(_nearest_center, search.groups), keys)
    slots, groups = _blocks_by_group(group_of, len(search.leaves))

    def leaves_in(block: tuple[Int[Array, " Q"], Int[Array, ""]]) -> Int[Array, " Q"]:
        rows, group = block
        near = jax.tree.map(lambda part: part[group], search.centers)
        return search.leaves[group][_nearest_center(near, keys[rows])]

    found = jax.lax.map(leaves_in, (slots, groups))
    # Slots beyond the last key of a group hold a row number that does not exist.
    return jnp.zeros(len(keys), jnp.int32).at[slots].set(found, mode="drop")


def in_blocks(function: Callable[..., Array], *rows: Array) -> Array:
    """The function of ROWS_AT_ONCE rows at a time."""
    blocks = [part.reshape(-1, ROWS_AT_ONCE, *part.shape[1:]) for part in rows]
    found = jax.lax.map(lambda block: function(*block), blocks)
    return found.reshape(-1, *found.shape[2:])


def padded(keys: Float[Array, "R D"]) -> Float[Array, "P D"]:
    """Rows of zeros after the keys, to a number that blocks divide.

    A power of two of blocks: few shapes to compile for.
    """
    blocks = -(-len(keys) // ROWS_AT_ONCE)
    rows = ROWS_AT_ONCE * (1 << max(blocks - 1, 0).bit_length())
    return jnp.pad(keys, ((0, rows - len(keys)), (0, 0)))


def first_best(scores: Float[Array, "Q C ..."]) -> Int[Array, "Q ..."]:
    """The number of the highest score, as two plain reductions: XLA does not vectorize argmax."""
    best = jnp.max(scores, axis=1, keepdims=True)
    numbers = jnp.arange(scores.shape[1]).reshape(-1, *[1] * (scores.ndim - 2))
    return jnp.min(jnp.where(scores >= best, numbers, scores.shape[1]), axis=1)


def _ready(centers: Float[np.ndarray, "C D"], origin: Float[np.ndarray, " D"]) -> Centers:
    offsets = centers - origin
    missing = -len(centers) % _SCORE_BLOCK
    norms = np.pad(np.sum(offsets**2, axis=1), (0, missing), constant_values=np.inf)
    parts = (origin, np.pad(offsets, ((0, missing), (0, 0))), norms)
    return Centers(*(jnp.asarray(part, jnp.float32) for part in parts))


def _nearest_center(centers: Centers, keys: Float[Array, "Q D"]) -> Int[Array, " Q"]:
    """The number of the center nearest to each key: first its score block, then which of it."""
    scores = product(2.0 * (keys - centers.origin), centers.offsets.T) - centers.norms
    blocks = scores.reshape(len(keys), -1, _SCORE_BLOCK)
    block = first_best(jnp.max(blocks, axis=2))
    within = jnp.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0]
    return block * _SCORE_BLOCK + first_best(within)


def _blocks_by_group(
    group_of: Int[Array, " R"], num_groups: int
) -> tuple[Int[Array, "M Q"], Int[Array, " M"]]:
    """Rows sorted into blocks of one group each: the blocks' rows, and their groups.

    A group's last block is filled up with R, which is no row.
    """
    num_rows = len(group_of)
    counts = jnp.bincount(group_of, length=num_groups)
    last_blocks = jnp.cumsum(-(-counts // _GROUP_BLOCK))
    first_slots = jnp.concatenate([jnp.zeros(1, jnp.int32), last_blocks[:-1]]) * _GROUP_BLOCK
    order = jnp.argsort(group_of)
    sorted_groups = group_of[order]
    rank = jnp.arange(num_rows) - (jnp.cumsum(counts) - counts)[sorted_groups]
    num_blocks = num_rows // _GROUP_BLOCK + num_groups
    slots = jnp.full(num_blocks * _GROUP_BLOCK, num_rows)
    slots = slots.at[first_slots[sorted_groups] + rank].set(order)
    groups = jnp.searchsorted(last_blocks, jnp.arange(num_blocks), side="right")
    return slots.reshape(num_blocks, -1), jnp.minimum(groups, num_groups - 1)


def _kmeans(
    keys: Float[np.ndarray, "S D"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "C D"]:
    """Centers of k-means from k-means++; at most as many as there are keys."""
    return _lloyd(keys, _spread_rows(keys, min(count, len(keys)), rng))


def _lloyd(
    keys: Float[np.ndarray, "S D"], centers: Float[np.ndarray, "C D"]
) -> Float[np.ndarray, "C D"]:
    for _ in range(_ITERATIONS):
        centers = means(keys, _nearest_of_few(centers, keys), centers)
    return centers


def _spread_rows(
    keys: Float[np.ndarray, "S D"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "C D"]:
    """Rows drawn by their squared distance from those before (Arthur & Vassilvitskii 2007)."""
    chosen = np.empty((count, keys.shape[1]), np.float32)
    left = np.full(len(keys), np.inf, np.float32)
    row = int(rng.integers(len(keys))) if count else 0
    for number in range(count):
        chosen[number] = keys[row]
        np.minimum(left, np.sum((keys - keys[row]) ** 2, axis=1), out=left)
        odds = np.cumsum(left, dtype=np.float64)
        row = min(int(np.searchsorted(odds, rng.random() * odds[-1], "right")), len(keys) - 1)
    return chosen


def means(
    keys: Float[np.ndarray, "S D"],
    labels: Int[np.ndarray, " S"],
    centers: Float[np.ndarray, "C D"],
) -> Float[np.ndarray, "C D"]:
    """The mean of each center's keys; a center without keys stays where it is."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    moved = centers.copy()
    if len(present):
        sums = np.add.reduceat(keys[order], starts, axis=0, dtype=np.float64)
        moved[present] = sums / np.diff(starts, append=len(keys))[:, None]
    return moved


def _nearest_of_few(
    centers: Float[np.ndarray, "C D"], keys: Float[np.ndarray, "S D"]
) -> Int[np.ndarray, " S"]:
    scores = 2.0 * keys @ centers.T - np.sum(centers**2, axis=1)
    return np.argmax(scores, axis=1)


def _leaves_of(leaves: Leaves, keys: Float[np.ndarray, "S D"]) -> Int[np.ndarray, " S"]:
    return np.asarray(leaves_of(leaves, padded(jnp.asarray(keys))))[: len(keys)]


def _shares(members: list[Int[np.ndarray, " _"]], num_leaves: int) -> list[int]:
    """One leaf for each group, the others in proportion to its keys.

    In proportion to their squared distances the leaves would be tighter on the whole, and wider
    where keys are dense and most queries fall: neighbors are then found less often.
    """
    sizes = np.array([len(part) for part in members])
    left = num_leaves - len(members)
    exact = left * sizes / sizes.sum()
    shares = np.floor(exact).astype(int)
    shares[np.argsort(shares - exact, kind="stable")[: left - shares.sum()]] += 1
    return np.minimum(1 + shares, sizes).tolist()
