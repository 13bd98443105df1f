"""Leaves: a partition of keys by k-means, and the leaf of a key where there are many."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.neighbors import nearest
from retrieve_rl.retrieval.scann_config import COMPARED_LEAVES
from retrieve_rl.types import Array

ROWS_AT_ONCE = 128
"""So few that their scores of all leaves stay in a processor's cache."""
_ITERATIONS = 10
_NUM_GROUPS, _SHARE_OF_LEAVES = 256, 1 / 6
"""A key is compared with this share of all leaves, those near the group it falls into: so many that
nearly every key still gets its nearest one."""
_GROUP_BLOCK = 256


class Leaves(NamedTuple):
    """Where keys are sorted into.

    Attributes:
      centers: a key's leaf is the one with the nearest center.
      groups: of the leaves, where there are too many to compare a key with all.
    """

    centers: Float[Array, "L D"]
    groups: "LeafGroups | None"


class LeafGroups(NamedTuple):
    """A coarser grouping of the leaves.

    Attributes:
      centers: of the groups.
      leaves: those nearest to each center; a leaf is listed by several groups.
    """

    centers: Float[Array, "G D"]
    leaves: Int[Array, "G C"]


def make_leaves(keys: Float[np.ndarray, "S D"], num_leaves: int) -> Leaves:
    """Partitions a sample of keys by k-means, begun in two levels.

    One level would take k-means++ a time that grows with the square of the leaves.
    """
    rng = np.random.default_rng(0)
    count = min(len(keys), round(np.sqrt(num_leaves)))
    coarse = _kmeans(keys[:: max(1, len(keys) // (256 * count))], count, rng)
    labels = _nearest(coarse, keys)
    members = [keys[labels == group] for group in np.unique(labels)]
    shared = zip(members, _shares(members, num_leaves), strict=True)
    centers = np.concatenate([_kmeans(part, share, rng) for part, share in shared])
    for _ in range(_ITERATIONS):
        centers = means(keys, _nearest(centers, keys), centers)
    groups = group_leaves(centers) if len(centers) > COMPARED_LEAVES else None
    return Leaves(jnp.asarray(centers), groups)


def group_leaves(centers: Float[np.ndarray, "L D"]) -> LeafGroups:
    """Groups the leaves by k-means over their centers."""
    around = _kmeans(centers, _NUM_GROUPS, np.random.default_rng(0))
    listed = round(_SHARE_OF_LEAVES * len(centers))
    near = nearest(jnp.asarray(centers), jnp.asarray(around), listed)
    return LeafGroups(jnp.asarray(around), near.indices)


@jax.jit
def leaves_of(leaves: Leaves, keys: Float[Array, "R D"]) -> Int[Array, " R"]:
    """The leaf of each key; pure. R as of `padded`.

    With groups it is the nearest of those near the key's group: now and then the second nearest.
    """
    if leaves.groups is None:
        return in_blocks(nearest_center(leaves.centers), keys)
    listed = leaves.groups
    group_of = in_blocks(nearest_center(listed.centers), keys)
    slots, groups = _blocks_by_group(group_of, len(listed.centers))

    def leaves_in(block: tuple[Int[Array, " Q"], Int[Array, ""]]) -> Int[Array, " Q"]:
        rows, group = block
        near = listed.leaves[group]
        return near[nearest_center(leaves.centers[near])(keys[rows])]

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


def nearest_center(centers: Float[Array, "C D"]) -> Callable[[Array], Array]:
    """A function from keys [Q, D] to the nearest of the centers: [Q]."""
    # Far from the origin the scores would drown in rounding: they are taken from amid the centers.
    origin = jnp.mean(centers, axis=0)
    from_origin = centers - origin
    norms = jnp.sum(from_origin**2, axis=-1)
    return lambda keys: first_best(2.0 * (keys - origin) @ from_origin.T - norms)


def first_best(scores: Float[Array, "Q C ..."]) -> Int[Array, "Q ..."]:
    """The number of the highest score, as two plain reductions: XLA does not vectorize argmax."""
    best = jnp.max(scores, axis=1, keepdims=True)
    numbers = jnp.arange(scores.shape[1]).reshape(-1, *[1] * (scores.ndim - 2))
    return jnp.min(jnp.where(scores >= best, numbers, scores.shape[1]), axis=1)


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
    """Centers of k-means (Lloyd) from k-means++; at most as many as there are keys."""
    centers = _spread_rows(keys, min(count, len(keys)), rng)
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


def _nearest(
    centers: Float[np.ndarray, "C D"], keys: Float[np.ndarray, "S D"]
) -> Int[np.ndarray, " S"]:
    found = _nearest_of_many(jnp.asarray(centers), padded(jnp.asarray(keys)))
    return np.asarray(found)[: len(keys)]


@jax.jit
def _nearest_of_many(centers: Float[Array, "C D"], keys: Float[Array, "R D"]) -> Int[Array, " R"]:
    return in_blocks(nearest_center(centers), keys)


def _shares(members: list[Float[np.ndarray, "_ D"]], num_leaves: int) -> list[int]:
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
