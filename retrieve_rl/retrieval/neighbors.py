"""Exact nearest neighbors inside `jit`, in blocks that fit a processor's cache.

The search never holds all queries x keys distances of a large matrix. It walks over blocks of keys,
keeps the best score of every tile of a few rows, and measures only the tiles that hold the best
scores: the k nearest rows lie within the k tiles whose best rows are nearest.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.types import Array

NO_GROUP = -1
_BLOCK_ROWS = 2048
_TILE_ROWS = 16
_QUERIES_AT_ONCE = 512
_SCORES_AT_ONCE = 2**22
"""Up to so many scores of all queries and keys, 16 MiB, the blocks are one: no loop copies them."""
_SAMPLED_ROWS = 1000
_SPARE_TILES = 2
"""Tiles looked at beyond k, against the rounding of the scores that choose them."""
_RUN = 16
"""Columns of scores of which the highest is looked at first: `top_k` takes long over many."""


class Neighbors(NamedTuple):
    """A search result, nearest first; equal distances in the order of their rows.

    Attributes:
      indices: rows of the keys; -1 where there is no neighbor.
      distances: squared Euclidean distances; infinite where there is no neighbor.
    """

    indices: Int[Array, "*B K"]
    distances: Float[Array, "*B K"]


class KeyBlocks(NamedTuple):
    """Keys made ready for searching, padded to equal blocks of M x W tiles.

    Attributes:
      tiles: the keys as they are, T rows after the other.
      scored: the keys less `center`, and as one more column their squared lengths, infinite where
        there is no finite key. Row i of a block's tile w is its row i * W + w, so that the maximum
        over a tile runs along contiguous memory.
      groups: the group of every row; None where none were given.
      center: a point amid the keys. Scores are of keys and queries less it, for float32 would lose
        the differences of keys that lie far from the origin compared with their spread.
      num_keys: how many rows are keys.
    """

    tiles: Float[Array, "M W T D"]
    scored: Float[Array, "M T*W D+1"]
    groups: Int[Array, "M W T"] | None
    center: Float[Array, " D"]
    num_keys: Int[Array, ""]


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

    A query or a key that is not finite has no distance, and is nobody's neighbor. All is float32: a
    squared distance far below 1e-7 of the keys' squared spread is not told from
    others like it when the candidates are chosen. Scale columns to about the same spread.

    Raises:
      ValueError: the widths of keys and queries differ, `num_neighbors` < 1, only one of
        `key_groups` and `not_from` is given, or they do not fit 32 bits.
    """
    if (key_groups is None) != (not_from is None):
        raise ValueError("key_groups and not_from go together")
    return nearest_in_blocks(cut(keys, key_groups), queries, num_neighbors, not_from=not_from)


def cut(keys: Float[Array, "N D"], key_groups: Int[Array, " N"] | None = None) -> KeyBlocks:
    """The keys made ready for `nearest_in_blocks`; worth keeping where they serve many searches.

    Raises ValueError where groups do not fit 32 bits.
    """
    num_keys, width = keys.shape
    rows = max(_TILE_ROWS, min(_BLOCK_ROWS, -(-num_keys // _TILE_ROWS) * _TILE_ROWS))
    padding = -num_keys % rows
    shape = (-1, rows // _TILE_ROWS, _TILE_ROWS)
    groups = None
    if key_groups is not None:
        filled_up = jnp.pad(as_groups(key_groups), (0, padding), constant_values=NO_GROUP)
        groups = filled_up.reshape(shape)
    center = _amid(keys)
    centered = keys - center
    norms = jnp.sum(centered**2, axis=-1, keepdims=True)
    # A tile whose best score is not a number would stand before all others.
    finite = jnp.isfinite(norms)
    scored = jnp.concatenate(
        [jnp.where(finite, centered, 0.0), jnp.where(finite, norms, jnp.inf)], axis=-1
    )
    nowhere = jnp.zeros((padding, width + 1)).at[:, -1].set(jnp.inf)
    scored = jnp.concatenate([scored, nowhere]).reshape(*shape, width + 1).swapaxes(1, 2)
    return KeyBlocks(
        jnp.pad(keys, ((0, padding), (0, 0))).reshape(*shape, width),
        scored.reshape(-1, rows, width + 1),
        groups,
        center,
        jnp.int32(num_keys),
    )


def nearest_in_blocks(
    blocks: KeyBlocks,
    queries: Float[Array, "B D"],
    num_neighbors: int,
    *,
    not_from: Int[Array, "B G"] | None = None,
) -> Neighbors:
    """As `nearest`, over keys that were cut before.

    Raises ValueError as `nearest` does; `not_from` needs keys that were cut with their groups.
    """
    if not_from is not None and blocks.groups is None:
        raise ValueError("not_from needs keys with groups")
    if num_neighbors < 1:
        raise ValueError(f"num_neighbors must be at least 1, found {num_neighbors}")
    if blocks.center.shape[0] != queries.shape[-1]:
        raise ValueError(f"keys have width {blocks.center.shape[0]}, queries {queries.shape[-1]}")
    if blocks.tiles.shape[0] == 0 or queries.shape[0] == 0:
        return _no_neighbors(queries.shape[0], num_neighbors)
    nothing = jnp.zeros((queries.shape[0], 0), jnp.int32)
    hidden = nothing if not_from is None else as_groups(not_from)
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
    present = present.reshape(*present.shape, *(1 for _ in values.shape[1:]))
    return jnp.where(present, rows, jnp.zeros((), rows.dtype))


def as_groups(groups: Int[Array, "..."]) -> Int[Array, "..."]:
    """Group numbers in 32 bits. Raises ValueError where they do not fit: cut off, two groups would
    become one."""
    if isinstance(groups, jax.Array):
        return groups
    groups = np.asarray(groups)
    limits = np.iinfo(np.int32)
    if groups.size and (groups.min() < limits.min or groups.max() > limits.max):
        raise ValueError("groups are numbers of 32 bits; number them anew (numpy.unique)")
    return jnp.asarray(groups, jnp.int32)


def product(first: Float[Array, "M K"], second: Float[Array, "K N"]) -> Float[Array, "M N"]:
    """The matrix product in float32 on every device: a GPU's default is TF32, whose rounding
    chooses other neighbors."""
    return jnp.matmul(first, second, precision=jax.lax.Precision.HIGHEST)


def _amid(keys: Float[Array, "N D"]) -> Float[Array, " D"]:
    """The median of what is finite in each column, over some of the rows: near most keys whatever a
    few are like.

    It is one of the column's numbers, so that the differences of whole ones stay whole.
    """
    if keys.shape[0] == 0:
        return jnp.zeros(keys.shape[1], keys.dtype)
    # Drawn, for of rows at equal distances all may be the first of an episode.
    drawn = np.random.default_rng(0).choice(keys.shape[0], min(_SAMPLED_ROWS, keys.shape[0]), False)
    sample = keys[np.sort(drawn)]
    finite = jnp.isfinite(sample)
    rising = jnp.sort(jnp.where(finite, sample, jnp.inf), axis=0)
    middle = (jnp.sum(finite, axis=0, keepdims=True) - 1) // 2
    found = jnp.take_along_axis(rising, jnp.maximum(middle, 0), axis=0)[0]
    return jnp.where(jnp.isfinite(found), found, 0.0)


def _search(
    blocks: KeyBlocks, num_neighbors: int, asked: tuple[Float[Array, "B D"], Int[Array, "B G"]]
) -> Neighbors:
    queries, hidden = asked
    best = _best_of_tiles(blocks, queries, hidden)
    # In their order, so that of rows at equal distances the first are kept.
    chosen = _highest(best, num_neighbors + _SPARE_TILES)  # [B, C]
    keys = blocks.tiles.reshape(-1, *blocks.tiles.shape[2:])[chosen]  # [B, C, T, D]
    distances = jnp.sum((queries[:, None, None] - keys) ** 2, axis=-1)
    rows = chosen[..., None] * _TILE_ROWS + jnp.arange(_TILE_ROWS)
    rows, distances = (part.reshape(queries.shape[0], -1) for part in (rows, distances))
    gone = (rows >= blocks.num_keys) | ~jnp.isfinite(distances)
    if hidden.shape[1]:
        assert blocks.groups is not None
        groups = blocks.groups.reshape(-1, _TILE_ROWS)[chosen]
        gone |= _is_hidden(groups.reshape(rows.shape), hidden)
    return _nearest_of(rows, jnp.where(gone, jnp.inf, distances), num_neighbors)


def _best_of_tiles(
    blocks: KeyBlocks, queries: Float[Array, "B D"], hidden: Int[Array, "B G"]
) -> Float[Array, "B M*W"]:
    """The highest score of each tile.

    With c the center, -|q - k|^2 = 2 (q - c).(k - c) - |k - c|^2 + what does not depend on k; the
    norm rides along as one more column of the product.
    """
    num_blocks, num_tiles, _, _ = blocks.tiles.shape
    batch = queries.shape[0]
    centered = queries - blocks.center
    augmented = jnp.concatenate([2.0 * centered, -jnp.ones((batch, 1))], axis=-1)

    def best(keys: Float[Array, "R D+1"], groups: Int[Array, " R"] | None) -> Float[Array, "B M W"]:
        scores = product(augmented, keys.T).reshape(batch, -1, _TILE_ROWS, num_tiles)
        if hidden.shape[1]:
            assert groups is not None
            gone = _is_hidden(groups[None], hidden).reshape(scores.shape)
            scores = jnp.where(gone, -jnp.inf, scores)
        return jnp.max(scores, axis=2)

    # In the order of `scored` before the loop: inside, every query would read them in strides.
    groups = None if blocks.groups is None else blocks.groups.swapaxes(1, 2).reshape(num_blocks, -1)
    num_rows = num_blocks * num_tiles * _TILE_ROWS
    if batch * num_rows <= _SCORES_AT_ONCE:
        keys = blocks.scored.reshape(-1, blocks.scored.shape[-1])
        return best(keys, None if groups is None else groups.ravel()).reshape(batch, -1)
    _, found = jax.lax.scan(
        lambda _, block: (None, best(*block)[:, 0]), None, (blocks.scored, groups)
    )  # [M, B, W]
    return jnp.moveaxis(found, 0, 1).reshape(batch, -1)


def _highest(scores: Float[Array, "B N"], num: int) -> Int[Array, "B C"]:
    """The columns of the `num` highest scores, or of all, in rising order; of equal ones the first.

    They lie within the `num` runs of columns whose highest scores are highest.
    """
    width = scores.shape[1]
    if width <= 2 * num * _RUN:
        return jnp.sort(jax.lax.top_k(scores, min(num, width))[1], axis=1)
    filled_up = jnp.pad(scores, ((0, 0), (0, -width % _RUN)), constant_values=-jnp.inf)
    runs = filled_up.reshape(-1, -(-width // _RUN), _RUN)
    chosen = _highest(jnp.max(runs, axis=2), num)
    candidates = jnp.take_along_axis(runs, chosen[:, :, None], axis=1)
    among = _highest(candidates.reshape(-1, num * _RUN), num)
    return jnp.take_along_axis(chosen, among // _RUN, axis=1) * _RUN + among % _RUN


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
