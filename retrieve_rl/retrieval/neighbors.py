"""Exact nearest neighbors inside `jit`, in blocks that fit a processor's cache.

The search never holds all queries x keys distances. It walks over blocks of keys, keeps the best
score of every small group of rows, and measures only the groups that hold the best scores: the k
nearest rows lie within the k groups whose best rows are nearest.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.types import Array

NO_GROUP = -1
_BLOCK_ROWS = 4096
_GROUP_ROWS = 32
_QUERIES_AT_ONCE = 512
_SAMPLED_ROWS = 1000
_SPARE_GROUPS = 2
"""Groups looked at beyond k, against the rounding of the scores that choose them."""


class Neighbors(NamedTuple):
    """A search result, nearest first; equal distances in the order of their rows.

    Attributes:
      indices: rows of the keys; -1 where there is no neighbor.
      distances: squared Euclidean distances; infinite where there is no neighbor.
    """

    indices: Int[Array, "*B K"]
    distances: Float[Array, "*B K"]


class KeyBlocks(NamedTuple):
    """Keys made ready for searching: equal blocks, padded with rows that are infinitely far.

    Attributes:
      keys: the keys, and as one more column their squared distances to `center`.
      groups: the group of every row; NO_GROUP where none was given.
      center: a point amid the keys. Scores are of keys and queries less it, for float32 would lose
        the differences of keys that lie far from the origin compared with their spread.
    """

    keys: Float[Array, "M R D+1"]
    groups: Int[Array, "M R"]
    center: Float[Array, " D"]


def nearest(
    keys: Float[Array, "N D"],
    queries: Float[Array, "B D"],
    num_neighbors: int,
    *,
    key_groups: Int[Array, " N"] | None = None,
    not_from: Int[Array, "B G"] | None = None,
) -> Neighbors:
    """The `num_neighbors` nearest keys of each query, by squared Euclidean distance.

    A key whose group is listed in a query's row of `not_from` is never its neighbor; `NO_GROUP`
    in `not_from` excludes nothing. Where fewer keys are left than asked for, the rest of the
    result is -1.

    All is float32: a squared distance far below 1e-7 of the keys' squared spread is not told from
    others like it when the candidates are chosen. Scale columns to about the same spread.

    Raises:
      ValueError: the widths of keys and queries differ, `num_neighbors` < 1, or only one of
        `key_groups` and `not_from` is given.
    """
    if (key_groups is None) != (not_from is None):
        raise ValueError("key_groups and not_from go together")
    return nearest_in_blocks(cut(keys, key_groups), queries, num_neighbors, not_from=not_from)


def cut(keys: Float[Array, "N D"], key_groups: Int[Array, " N"] | None = None) -> KeyBlocks:
    """The keys made ready for `nearest_in_blocks`; worth keeping where they serve many searches."""
    rows = max(1, min(_BLOCK_ROWS, -(-keys.shape[0] // _GROUP_ROWS) * _GROUP_ROWS))
    padding = -keys.shape[0] % rows
    if key_groups is None:
        key_groups = jnp.full(keys.shape[0], NO_GROUP)
    center = _amid(keys)
    norms = jnp.sum((keys - center) ** 2, axis=-1)
    norms = jnp.pad(norms, (0, padding), constant_values=jnp.inf)
    keys = jnp.pad(keys, ((0, padding), (0, 0)))
    augmented = jnp.concatenate([keys, norms[:, None]], axis=-1)
    groups = jnp.pad(key_groups, (0, padding), constant_values=NO_GROUP)
    return KeyBlocks(
        augmented.reshape(-1, rows, augmented.shape[-1]), groups.reshape(-1, rows), center
    )


def nearest_in_blocks(
    blocks: KeyBlocks,
    queries: Float[Array, "B D"],
    num_neighbors: int,
    *,
    not_from: Int[Array, "B G"] | None = None,
) -> Neighbors:
    """As `nearest`, over keys that were cut before."""
    if num_neighbors < 1:
        raise ValueError(f"num_neighbors must be at least 1, found {num_neighbors}")
    if blocks.center.shape[0] != queries.shape[-1]:
        raise ValueError(f"keys have width {blocks.center.shape[0]}, queries {queries.shape[-1]}")
    if blocks.keys.shape[0] == 0 or queries.shape[0] == 0:
        return _no_neighbors(queries.shape[0], num_neighbors)
    hidden = jnp.full((queries.shape[0], 0), NO_GROUP) if not_from is None else not_from
    if queries.shape[0] <= _QUERIES_AT_ONCE:
        return _search(blocks, num_neighbors, (queries, hidden))
    # lax.map's own batching would vectorize the search over single queries instead.
    num_chunks = -(-queries.shape[0] // _QUERIES_AT_ONCE)
    padding = num_chunks * _QUERIES_AT_ONCE - queries.shape[0]
    chunks = tuple(
        jnp.pad(part, ((0, padding), (0, 0))).reshape(num_chunks, _QUERIES_AT_ONCE, part.shape[1])
        for part in (queries, hidden)
    )
    found = jax.lax.map(partial(_search, blocks, num_neighbors), chunks)
    return Neighbors(*(part.reshape(-1, num_neighbors)[: queries.shape[0]] for part in found))


def gather(values: Float[Array, "N ..."], neighbors: Neighbors) -> Float[Array, "..."]:
    """The neighbors' rows of `values`, [*B, K, ...]; zeros where there is no neighbor."""
    if values.shape[0] == 0:
        return jnp.zeros((*neighbors.indices.shape, *values.shape[1:]), values.dtype)
    present = neighbors.indices >= 0
    rows = values[jnp.where(present, neighbors.indices, 0)]
    return jnp.where(present.reshape(*present.shape, *(1 for _ in values.shape[1:])), rows, 0)


def _amid(keys: Float[Array, "N D"]) -> Float[Array, " D"]:
    """The median of each column, over some of the rows: near most keys whatever a few are like.

    It is one of the column's numbers, so that the differences of whole ones stay whole.
    """
    if keys.shape[0] == 0:
        return jnp.zeros(keys.shape[1], keys.dtype)
    # Drawn, for of rows at equal distances all may be the first of an episode.
    drawn = np.random.default_rng(0).choice(keys.shape[0], min(_SAMPLED_ROWS, keys.shape[0]), False)
    sample = keys[np.sort(drawn)]
    return jnp.sort(sample, axis=0)[(sample.shape[0] - 1) // 2]


def _search(
    blocks: KeyBlocks, num_neighbors: int, asked: tuple[Float[Array, "B D"], Int[Array, "B G"]]
) -> Neighbors:
    queries, hidden = asked
    num_blocks, rows = blocks.groups.shape
    # With c the center, -|q - k|^2 = 2 (q - c).(k - c) - |k - c|^2 + what does not depend on k; the
    # norm rides along as one more column of the product.
    centered = queries - blocks.center
    augmented = jnp.concatenate([2.0 * centered, -jnp.ones((queries.shape[0], 1))], axis=-1)
    center = jnp.append(blocks.center, 0.0)

    def best_of_groups(
        _: None, block: tuple[Float[Array, "R D+1"], Int[Array, " R"]]
    ) -> tuple[None, Float[Array, "B W"]]:
        keys, groups = block
        scores = augmented @ (keys - center).T  # [B, R]
        if hidden.shape[1]:
            scores = jnp.where(_is_hidden(groups[None], hidden), -jnp.inf, scores)
        # A group's rows lie a stride apart, so that the maximum runs along contiguous memory.
        return None, jnp.max(scores.reshape(scores.shape[0], _GROUP_ROWS, -1), axis=1)

    _, best = jax.lax.scan(best_of_groups, None, (blocks.keys, blocks.groups))  # [M, B, W]
    best = jnp.moveaxis(best, 0, 1).reshape(queries.shape[0], -1)
    num_groups = best.shape[1]
    _, chosen = jax.lax.top_k(best, min(num_neighbors + _SPARE_GROUPS, num_groups))
    candidates = _rows_of(chosen, rows)  # [B, C]
    keys = blocks.keys.reshape(num_blocks * rows, -1)[candidates]
    distances = jnp.sum((queries[:, None] - keys[..., :-1]) ** 2, axis=-1)
    gone = jnp.isinf(keys[..., -1])
    if hidden.shape[1]:
        gone |= _is_hidden(blocks.groups.reshape(-1)[candidates], hidden)
    return _nearest_of(candidates, jnp.where(gone, jnp.inf, distances), num_neighbors)


def _rows_of(groups: Int[Array, "B C"], block_rows: int) -> Int[Array, "B CG"]:
    """The rows of the chosen groups: group w of a block holds rows w, w + stride, ..."""
    stride = block_rows // _GROUP_ROWS
    first = groups // stride * block_rows + groups % stride
    rows = first[..., None] + stride * jnp.arange(_GROUP_ROWS)
    return rows.reshape(groups.shape[0], -1)


def _nearest_of(
    rows: Int[Array, "B C"], distances: Float[Array, "B C"], num_neighbors: int
) -> Neighbors:
    available = min(num_neighbors, rows.shape[1])
    closeness, position = jax.lax.top_k(-distances, available)
    indices = jnp.where(jnp.isinf(closeness), -1, jnp.take_along_axis(rows, position, axis=-1))
    distances, indices = jax.lax.sort((-closeness, indices), num_keys=2)
    missing = ((0, 0), (0, num_neighbors - available))
    return Neighbors(
        jnp.pad(indices, missing, constant_values=-1),
        jnp.pad(distances, missing, constant_values=jnp.inf),
    )


def _is_hidden(groups: Int[Array, "... R"], hidden: Int[Array, "B G"]) -> Array:
    """Whether each of the rows' groups is among those hidden from the query: [B, R]."""
    found = jnp.zeros((), bool)
    for column in range(hidden.shape[1]):
        group = hidden[:, column, None]
        found |= (groups == group) & (group != NO_GROUP)
    return found


def _no_neighbors(batch: int, num_neighbors: int) -> Neighbors:
    shape = (batch, num_neighbors)
    return Neighbors(jnp.full(shape, -1, jnp.int32), jnp.full(shape, jnp.inf, jnp.float32))
