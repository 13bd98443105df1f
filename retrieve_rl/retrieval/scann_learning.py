"""What ScaNN learns of a sample of keys, and how far it is rewritten.

ScaNN learns leaves and codewords as for any keys. What it must know of the norms (`inner_product`)
follows from them. With k a key, c the center of its leaf, r = k - c, and r' its codewords' sum,

    q . (c + r') + n = (|q|^2 - |q - k|^2) / 2 + (q - c) . (r' - r),  n = -|k|^2 / 2 - c . (r' - r),

so the coded norm n makes the error that of the residual as seen from the leaf, as it is when
distances are coded. The center's share of n is -|c|^2 / 2, by which leaves are ranked by their
distance; what is left, -|r|^2 / 2 - c . r', has the two blocks of the norm for itself: sixteen
levels, and sixteen between them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2

from retrieve_rl.retrieval.inner_product import NORM_DIMS
from retrieve_rl.retrieval.neighbors import nearest
from retrieve_rl.retrieval.scann_config import (
    CODEWORDS,
    COMPARED_LEAVES,
    ScannParameters,
    config_text,
)
from retrieve_rl.types import Array

ORIGIN_FILE = "origin.npy"
_CODEBOOK, _PARTITIONER = "ah_codebook.pb", "serialized_partitioner.pb"
_MULTIPLIERS = "int8_multipliers.npy"
LEARNED_FILES = (_CODEBOOK, _PARTITIONER, ORIGIN_FILE)
_NUM_GROUPS, _SHARE_OF_LEAVES = 256, 1 / 6
"""A key is compared with the leaves near the group it falls into: the share of all with which 98.6%
of fifty million keys still get their nearest leaf."""
_INT8_LEVELS = 127


class LeafGroups(NamedTuple):
    """A coarser grouping of the leaves, where there are many.

    Attributes:
      centers: of the groups.
      leaves: those nearest to each center; a leaf is listed by several groups.
    """

    centers: Float[Array, "G D"]
    leaves: Int[Array, "G C"]


class Learned(NamedTuple):
    """What is needed to code a key.

    Attributes:
      origin: what is taken from every key and query first: the sample's mean.
      leaf_centers: centers of the leaves.
      groups: of the leaves, where there are many.
      codewords: codeword w of block b, at the dimensions of that block; elsewhere zero.
      norm_levels: codewords of the norm's two blocks, rising.
      multipliers: of each dimension, the norm's first, for keys kept as int8; else ones.
    """

    origin: Float[Array, " D"]
    leaf_centers: Float[Array, "L D"]
    groups: LeafGroups | None
    codewords: Float[Array, "W M D"]
    norm_levels: Float[Array, "2 W"]
    multipliers: Float[Array, " D+2"]


def learn(keys: Float[np.ndarray, "S D"], parameters: ScannParameters, folder: Path) -> Learned:
    """Learns of a sample; ScaNN's files with an index over it are left in the empty `folder`.

    Two calls with the same keys leave the same bytes. `keys` must be finite: a NaN ends the
    process (see `keys.check_finite`).
    """
    from scann.scann_ops.py import scann_ops_pybind

    origin = np.asarray(np.mean(keys, axis=0, dtype=np.float64), np.float32)
    # Without a norm: leaves and codewords are those of the keys alone.
    extended = np.zeros((len(keys), NORM_DIMS + keys.shape[1]), np.float32)
    np.subtract(keys, origin, out=extended[:, NORM_DIMS:])
    config = config_text(parameters, keys.shape[1])
    searcher = scann_ops_pybind.create_searcher(extended, config)
    searcher.serialize(str(folder), relative_path=True)
    np.save(folder / ORIGIN_FILE, origin, allow_pickle=False)
    return _with_norms(folder, parameters, origin, extended[:, NORM_DIMS:])


def _with_norms(
    folder: Path,
    parameters: ScannParameters,
    origin: Float[np.ndarray, " D"],
    centered: Float[np.ndarray, "S D"],
) -> Learned:
    """Reads what ScaNN learned, and writes the part of the norms into its files."""
    from scann.partitioning.partitioner_pb2 import SerializedPartitioner
    from scann.proto.centers_pb2 import CentersForAllSubspaces

    dim = len(origin)
    tree = SerializedPartitioner.FromString((folder / _PARTITIONER).read_bytes())
    root = tree.kmeans.kmeans_tree.root
    centers = np.zeros((len(root.centers), dim), np.float32)
    for child, center in zip(root.children, root.centers, strict=True):
        centers[child.leaf_id] = center.dimension[NORM_DIMS:]
        center.dimension[0] = -0.5 * float(np.sum(centers[child.leaf_id] ** 2, dtype=np.float64))
    book = CentersForAllSubspaces.FromString((folder / _CODEBOOK).read_bytes())
    codewords = _codewords(book.subspace_centers[NORM_DIMS:], parameters.block_widths, dim)
    tokens = np.load(folder / "datapoint_to_token.npy", allow_pickle=False)
    codes = np.load(folder / "hashed_dataset.npy", allow_pickle=False)[:, NORM_DIMS:]
    levels = _norm_levels(_norms_left(centered, centers[tokens], codewords, codes))
    for block, words in zip(book.subspace_centers[:NORM_DIMS], levels, strict=True):
        for codeword, level in zip(block.center, words.tolist(), strict=True):
            codeword.feature_value_float[0] = level
    (folder / _PARTITIONER).write_bytes(tree.SerializeToString(deterministic=True))
    (folder / _CODEBOOK).write_bytes(book.SerializeToString(deterministic=True))
    multipliers = np.ones(NORM_DIMS + dim, np.float32)
    if parameters.reorder == "int8":
        multipliers = np.load(folder / _MULTIPLIERS, allow_pickle=False)
        multipliers[:NORM_DIMS] = _norm_multipliers(multipliers[NORM_DIMS:])
        np.save(folder / _MULTIPLIERS, multipliers, allow_pickle=False)
    groups = group_leaves(centers) if len(centers) > COMPARED_LEAVES else None
    numbers = (jnp.asarray(part) for part in (codewords, levels, multipliers))
    return Learned(jnp.asarray(origin), jnp.asarray(centers), groups, *numbers)


def group_leaves(centers: Float[np.ndarray, "L D"]) -> LeafGroups:
    """Groups the leaves around the centers of k-means."""
    rng = np.random.default_rng(0)
    around, _ = kmeans2(centers, _NUM_GROUPS, iter=15, minit="++", rng=rng)
    around = around.astype(np.float32)
    listed = round(_SHARE_OF_LEAVES * len(centers))
    near = nearest(jnp.asarray(centers), jnp.asarray(around), listed)
    return LeafGroups(jnp.asarray(around), near.indices)


def _codewords(
    blocks: Sequence[Any], widths: Sequence[int], dim: int
) -> Float[np.ndarray, "W M D"]:
    """Of ScaNN's codebooks, block for block."""
    codewords = np.zeros((CODEWORDS, len(widths), dim), np.float32)
    start = 0
    for number, (width, block) in enumerate(zip(widths, blocks, strict=True)):
        words = [word.feature_value_float for word in block.center]
        codewords[: len(words), number, start : start + width] = words
        # A block of few distinct values may have fewer; the first stands for the missing.
        codewords[len(words) :, number] = codewords[0, number]
        start += width
    return codewords


def _norms_left(
    keys: Float[np.ndarray, "S D"],
    centers: Float[np.ndarray, "S D"],
    codewords: Float[np.ndarray, "W M D"],
    codes: Int[np.ndarray, "S M"],
) -> Float[np.ndarray, " S"]:
    """-|r|^2 / 2 - c . r', see above."""
    coded = sum(codewords[codes[:, block], block] for block in range(codewords.shape[1]))
    return -0.5 * np.sum((keys - centers) ** 2, axis=1) - np.sum(centers * coded, axis=1)


def _norm_levels(norms: Float[np.ndarray, " S"]) -> Float[np.ndarray, "2 W"]:
    first = _levels(norms)
    return np.stack([first, _levels(norms - first[_cell(first, norms)])]).astype(np.float32)


def _levels(values: Float[np.ndarray, " S"]) -> Float[np.ndarray, " W"]:
    """The levels of least squared error (Lloyd), rising."""
    levels = np.quantile(values, (np.arange(CODEWORDS) + 0.5) / CODEWORDS)
    for _ in range(20):
        cells = _cell(levels, values)
        sizes = np.bincount(cells, minlength=CODEWORDS)
        sums = np.bincount(cells, values, CODEWORDS)
        levels = np.where(sizes > 0, sums / np.maximum(sizes, 1), levels)
    return levels


def _cell(levels: Float[np.ndarray, " W"], values: Float[np.ndarray, " S"]) -> np.ndarray:
    return np.searchsorted(0.5 * (levels[1:] + levels[:-1]), values)


def _norm_multipliers(multipliers: Float[np.ndarray, " D"]) -> list[float]:
    """Digits for the largest norm that a key of int8 numbers can have, and all below."""
    largest = 0.5 * np.sum((128.0 / multipliers.astype(np.float64)) ** 2)
    coarse = _INT8_LEVELS / largest
    return [coarse * (2 * _INT8_LEVELS) ** part for part in range(NORM_DIMS)]
