"""Keys coded as ScaNN codes them, from what it has learned of a sample.

ScaNN builds an index in memory, from all keys at once. What its files hold of a key follows from
that key alone: the leaf whose center is nearest, the nearest codeword of each block of dimensions
(asymmetric hashing, Guo et al. 2020, without residuals), and the key as it is kept for reordering.
So ScaNN learns leaves and codewords from a sample, and any number of keys is coded in a stream.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2

from retrieve_rl.retrieval.neighbors import nearest
from retrieve_rl.retrieval.row_files import RowType
from retrieve_rl.retrieval.scann_config import CODEWORDS, Reorder, ScannParameters
from retrieve_rl.types import Array

LEARNED_FILES = ("ah_codebook.pb", "serialized_partitioner.pb")
_ROWS_AT_ONCE = 128
"""So few that their scores of all leaves stay in a processor's cache."""
_GROUPS_FROM, _NUM_GROUPS, _SHARE_OF_LEAVES = 2500, 128, 1 / 6
"""From so many leaves on, a key looks only at those near the group it falls into: the share of all
with which 98% of keys still get their nearest leaf, and the others one 0.1% farther."""
_GROUP_BLOCK = 256


class LeafGroups(NamedTuple):
    """A coarser grouping of the leaves, where there are many.

    Attributes:
      centers: of the groups.
      leaves: those nearest to each center; a leaf is listed by several groups.
    """

    centers: Float[Array, "G D"]
    leaves: Int[Array, "G C"]


class Learned(NamedTuple):
    """What ScaNN learned of a sample.

    Attributes:
      leaf_centers: centers of the leaves.
      groups: of the leaves, where there are many.
      codewords: codeword w of block b, at the dimensions of that block; elsewhere zero.
      multipliers: of each dimension, for keys kept as int8; ones where they are not.
    """

    leaf_centers: Float[Array, "L D"]
    groups: LeafGroups | None
    codewords: Float[Array, "W M D"]
    multipliers: Float[Array, " D"]


def read_learned(folder: Path, parameters: ScannParameters, dim: int) -> Learned:
    """Reads it from the files that ScaNN wrote into `folder`."""
    from scann.partitioning.partitioner_pb2 import SerializedPartitioner
    from scann.proto.centers_pb2 import CentersForAllSubspaces

    tree = SerializedPartitioner.FromString((folder / "serialized_partitioner.pb").read_bytes())
    root = tree.kmeans.kmeans_tree.root
    centers = np.zeros((len(root.centers), dim), np.float32)
    for child, center in zip(root.children, root.centers, strict=True):
        centers[child.leaf_id] = center.dimension
    book = CentersForAllSubspaces.FromString((folder / "ah_codebook.pb").read_bytes())
    codewords = np.zeros((CODEWORDS, len(parameters.block_widths), dim), np.float32)
    start = 0
    for block, (width, subspace) in enumerate(
        zip(parameters.block_widths, book.subspace_centers, strict=True)
    ):
        words = [word.feature_value_float for word in subspace.center]
        codewords[: len(words), block, start : start + width] = words
        # A block of few distinct values has fewer codewords; the first stands for the missing.
        codewords[len(words) :, block] = codewords[0, block]
        start += width
    multipliers = np.ones(dim, np.float32)
    if parameters.reorder == "int8":
        multipliers = np.load(folder / "int8_multipliers.npy", allow_pickle=False)
    groups = group_leaves(centers) if len(centers) >= _GROUPS_FROM else None
    return Learned(jnp.asarray(centers), groups, jnp.asarray(codewords), jnp.asarray(multipliers))


def group_leaves(centers: Float[np.ndarray, "L D"]) -> LeafGroups:
    """Groups the leaves around the centers of k-means."""
    rng = np.random.default_rng(0)
    around, _ = kmeans2(centers, _NUM_GROUPS, iter=15, minit="++", rng=rng)
    around = around.astype(np.float32)
    listed = round(_SHARE_OF_LEAVES * len(centers))
    near = nearest(jnp.asarray(centers), jnp.asarray(around), listed)
    return LeafGroups(jnp.asarray(around), near.indices)


def columns(parameters: ScannParameters, dim: int) -> dict[str, RowType]:
    """ScaNN's files with a row per key, by name."""
    kept: dict[Reorder, dict[str, RowType]] = {
        "float32": {"dataset": RowType(np.float32, (dim,))},
        "bfloat16": {"bfloat16_dataset": RowType(np.int16, (dim,))},
        "int8": {"int8_dataset": RowType(np.int8, (dim,)), "dp_norms": RowType(np.float32, ())},
    }
    return {
        "datapoint_to_token": RowType(np.int32, ()),
        "hashed_dataset": RowType(np.uint8, (len(parameters.block_widths),)),
        **kept[parameters.reorder],
    }


def code(learned: Learned, keys: Float[Array, "R D"], reorder: Reorder) -> dict[str, np.ndarray]:
    """Rows of the files that `columns` names."""
    padding = -len(keys) % _ROWS_AT_ONCE
    padded = jnp.pad(jnp.asarray(keys), ((0, padding), (0, 0)))
    coded = _code(learned, padded, reorder)
    return {name: np.asarray(rows)[: len(keys)] for name, rows in coded.items()}


@partial(jax.jit, static_argnames="reorder")
def _code(learned: Learned, keys: Float[Array, "R D"], reorder: Reorder) -> dict[str, Array]:
    coded = {
        "datapoint_to_token": _leaves_of(learned, keys),
        "hashed_dataset": _in_blocks(_nearest_codewords(learned.codewords), keys).astype(jnp.uint8),
    }
    if reorder == "float32":
        coded["dataset"] = keys
    elif reorder == "bfloat16":
        coded["bfloat16_dataset"] = jax.lax.bitcast_convert_type(
            keys.astype(jnp.bfloat16), jnp.int16
        )
    else:
        scaled = jnp.clip(jnp.round(keys * learned.multipliers), -128, 127)
        coded["int8_dataset"] = scaled.astype(jnp.int8)
        coded["dp_norms"] = jnp.sum(keys**2, axis=1)
    return coded


def _leaves_of(learned: Learned, keys: Float[Array, "R D"]) -> Int[Array, " R"]:
    listed = learned.groups
    if listed is None:
        return _in_blocks(_nearest_center(learned.leaf_centers), keys)
    group_of = _in_blocks(_nearest_center(listed.centers), keys)
    slots, groups = _blocks_by_group(group_of, len(listed.centers))

    def leaves_in(block: tuple[Int[Array, " Q"], Int[Array, ""]]) -> Int[Array, " Q"]:
        rows, group = block
        leaves = listed.leaves[group]
        return leaves[_nearest_center(learned.leaf_centers[leaves])(keys[rows])]

    found = jax.lax.map(leaves_in, (slots, groups))
    # Slots beyond the last key of a group hold a row number that does not exist.
    return jnp.zeros(len(keys), jnp.int32).at[slots].set(found, mode="drop")


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


def _in_blocks(
    function: Callable[[Array], Array], keys: Float[Array, "R D"]
) -> Int[Array, "R ..."]:
    found = jax.lax.map(function, keys.reshape(-1, _ROWS_AT_ONCE, keys.shape[1]))
    return found.reshape(len(keys), *found.shape[2:])


def _nearest_center(centers: Float[Array, "C D"]) -> Callable[[Array], Array]:
    """A function from keys [Q, D] to the nearest of the centers: [Q]."""
    # Far from the origin the scores would drown in rounding: they are taken from amid the centers.
    origin = jnp.mean(centers, axis=0)
    from_origin = centers - origin
    norms = jnp.sum(from_origin**2, axis=-1)
    return lambda keys: _first_best(2.0 * (keys - origin) @ from_origin.T - norms)


def _nearest_codewords(codewords: Float[Array, "W M D"]) -> Callable[[Array], Array]:
    """A function from keys [Q, D] to the nearest codeword of every block: [Q, M].

    The blocks' dimensions do not overlap: one product serves them all.
    """
    origins = jnp.mean(codewords, axis=0)
    from_origin = codewords - origins
    norms = jnp.sum(from_origin**2, axis=-1)
    origin = jnp.sum(origins, axis=0)
    weights = 2.0 * from_origin.reshape(-1, codewords.shape[-1]).T  # [D, W M]

    def choose(keys: Float[Array, "Q D"]) -> Int[Array, "Q M"]:
        scores = ((keys - origin) @ weights).reshape(len(keys), *norms.shape) - norms
        return _first_best(scores)

    return choose


def _first_best(scores: Float[Array, "Q C ..."]) -> Int[Array, "Q ..."]:
    """The number of the highest score, as two plain reductions: XLA does not vectorize argmax."""
    best = jnp.max(scores, axis=1, keepdims=True)
    numbers = jnp.arange(scores.shape[1]).reshape(-1, *[1] * (scores.ndim - 2))
    return jnp.min(jnp.where(scores >= best, numbers, scores.shape[1]), axis=1)
