"""What is learned of a sample of keys before all of them are coded.

The leaves are ours, the codewords of what they leave over are learned by ScaNN, and what ScaNN must
know of the norms (`inner_product`) follows from both. With k a key, c the center of its leaf,
r = k - c, and r' its codewords' sum,

    q . (c + r') + n = (|q|^2 - |q - k|^2) / 2 + (q - c) . (r' - r),  n = -|k|^2 / 2 - c . (r' - r),

so the coded norm n makes the error that of the residual as seen from the leaf, as it is when
distances are coded. The center's share of n is -|c|^2 / 2, by which leaves are ranked by their
distance; what is left, -|r|^2 / 2 - c . r', has the blocks of the norm for itself. Two take about
half of it each, and the third what they leave over: ScaNN rounds a query's products with all
codewords to steps of their largest, which the norm's must not be.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.inner_product import NORM_DIMS
from retrieve_rl.retrieval.keys import Extent
from retrieve_rl.retrieval.leaves import Leaves, leaves_of, make_leaves, means, padded
from retrieve_rl.retrieval.scann_config import CODEWORDS, ScannParameters, config_text
from retrieve_rl.types import Array

ORIGIN_FILE = "origin.npy"
_CODEBOOK, _PARTITIONER = "ah_codebook.pb", "serialized_partitioner.pb"
_CONFIG, _MULTIPLIERS = "scann_config.pb", "int8_multipliers.npy"
LEARNED_FILES = (_CODEBOOK, _PARTITIONER, ORIGIN_FILE)
_INT8_LEVELS = 127
NORM_DIVISORS = (2.0, 1.0, 1.0)
"""A block of the norm codes what those before it have left over, divided by this."""


class Learned(NamedTuple):
    """What is needed to code a key.

    Attributes:
      origin: what is taken from every key and query first: the sample's mean.
      leaves: of the keys from there.
      codewords: codeword w of block b, at the dimensions of that block; elsewhere zero.
      norm_levels: codewords of the norm's blocks, rising.
      multipliers: of each dimension, the norm's first, for keys kept as int8; else ones.
    """

    origin: Float[Array, " D"]
    leaves: Leaves
    codewords: Float[Array, "W M D"]
    norm_levels: Float[Array, "3 W"]
    multipliers: Float[Array, " D+3"]


def learn(
    keys: Float[np.ndarray, "S D"],
    parameters: ScannParameters,
    folder: Path,
    *,
    extent: Extent,
) -> Learned:
    """Learns of a sample, and leaves ScaNN's files in `folder`: those with a row per key are of the
    sample's residuals, and to be replaced.

    On one machine, two calls with the same keys leave the same bytes. `keys` must be finite: a NaN
    ends the process (see `keys.check_finite`). `extent` is of all keys: an int8 must not cut one.
    """
    origin = np.asarray(np.mean(keys, axis=0, dtype=np.float64), np.float32)
    centered = keys - origin
    leaves = make_leaves(centered, parameters.num_leaves)
    tokens = np.asarray(leaves_of(leaves, padded(jnp.asarray(centered))))[: len(keys)]
    centers = np.asarray(leaves.centers)[tokens]
    residuals = centered - centers
    codewords, codes = _learn_codewords(residuals, parameters, folder)
    levels = _norm_levels(_norms_left(residuals, centers, codewords, codes))
    _write_norm_levels(levels, folder / _CODEBOOK)
    _write_leaves(np.asarray(leaves.centers), folder / _PARTITIONER)
    _write_config(config_text(parameters, keys.shape[1]), folder / _CONFIG)
    np.save(folder / ORIGIN_FILE, origin, allow_pickle=False)
    multipliers = np.ones(NORM_DIMS + keys.shape[1], np.float32)
    if parameters.reorder == "int8":
        multipliers = _multipliers(np.maximum(extent.high - origin, origin - extent.low))
        np.save(folder / _MULTIPLIERS, multipliers, allow_pickle=False)
    numbers = (jnp.asarray(part) for part in (codewords, levels, multipliers))
    return Learned(jnp.asarray(origin), leaves, *numbers)


def _learn_codewords(
    residuals: Float[np.ndarray, "S D"], parameters: ScannParameters, folder: Path
) -> tuple[Float[np.ndarray, "W M D"], Int[np.ndarray, "S M"]]:
    """ScaNN's codewords, from an index over the residuals whose files stay in `folder`.

    Also the codes of the residuals. All have one leaf there, and a norm of zero.
    """
    from scann.proto.centers_pb2 import CentersForAllSubspaces
    from scann.scann_ops.py import scann_ops_pybind

    extended = np.pad(residuals, ((0, 0), (NORM_DIMS, 0)))
    one_leaf = parameters.model_copy(update={"num_leaves": 1})
    config = config_text(one_leaf, residuals.shape[1])
    scann_ops_pybind.create_searcher(extended, config).serialize(str(folder), relative_path=True)
    book = CentersForAllSubspaces.FromString((folder / _CODEBOOK).read_bytes())
    blocks = book.subspace_centers[NORM_DIMS:]
    codewords = _codewords(blocks, parameters.block_widths, residuals.shape[1])
    codes = np.load(folder / "hashed_dataset.npy", allow_pickle=False)[:, NORM_DIMS:]
    return codewords, codes


def _write_norm_levels(levels: Float[np.ndarray, "3 W"], path: Path) -> None:
    from scann.proto.centers_pb2 import CentersForAllSubspaces

    book = CentersForAllSubspaces.FromString(path.read_bytes())
    for block, words in zip(book.subspace_centers[:NORM_DIMS], levels, strict=True):
        for codeword, level in zip(block.center, words.tolist(), strict=True):
            codeword.feature_value_float[0] = level
    path.write_bytes(book.SerializeToString(deterministic=True))


def _write_leaves(centers: Float[np.ndarray, "L D"], path: Path) -> None:
    """Puts the leaves in the place of the one that is there."""
    from scann.partitioning.partitioner_pb2 import SerializedPartitioner

    tree = SerializedPartitioner.FromString(path.read_bytes())
    tree.n_tokens = len(centers)
    root = tree.kmeans.kmeans_tree.root
    child = type(root.children[0]).FromString(root.children[0].SerializeToString())
    del root.centers[:], root.children[:]
    norms = -0.5 * np.sum(centers.astype(np.float64) ** 2, axis=1)
    for leaf, (center, norm) in enumerate(zip(centers.tolist(), norms.tolist(), strict=True)):
        root.centers.add().dimension.extend([norm, *[0.0] * (NORM_DIMS - 1), *center])
        child.leaf_id = leaf
        root.children.append(child)
    path.write_bytes(tree.SerializeToString(deterministic=True))


def _write_config(text: str, path: Path) -> None:
    from google.protobuf import text_format
    from scann.proto.scann_pb2 import ScannConfig

    path.write_bytes(text_format.Parse(text, ScannConfig()).SerializeToString(deterministic=True))


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
    residuals: Float[np.ndarray, "S D"],
    centers: Float[np.ndarray, "S D"],
    codewords: Float[np.ndarray, "W M D"],
    codes: Int[np.ndarray, "S M"],
) -> Float[np.ndarray, " S"]:
    """-|r|^2 / 2 - c . r', see above."""
    coded = sum(codewords[codes[:, block], block] for block in range(codewords.shape[1]))
    return -0.5 * np.sum(residuals**2, axis=1) - np.sum(centers * coded, axis=1)


def _norm_levels(norms: Float[np.ndarray, " S"]) -> Float[np.ndarray, "3 W"]:
    levels, left = [], norms
    for divisor in NORM_DIVISORS:
        levels.append(_levels(left / divisor))
        left = left - levels[-1][_cell(levels[-1], left / divisor)]
    return np.stack(levels).astype(np.float32)


def _levels(values: Float[np.ndarray, " S"]) -> Float[np.ndarray, " W"]:
    """The levels of least squared error (Lloyd), rising."""
    levels = np.quantile(values, (np.arange(CODEWORDS) + 0.5) / CODEWORDS)
    for _ in range(20):
        levels = means(values[:, None], _cell(levels, values), levels[:, None])[:, 0]
    return levels


def _cell(levels: Float[np.ndarray, " W"], values: Float[np.ndarray, " S"]) -> np.ndarray:
    return np.searchsorted(0.5 * (levels[1:] + levels[:-1]), values)


def _multipliers(largest: Float[np.ndarray, " D"]) -> Float[np.ndarray, " D+3"]:
    """What makes the largest size of a number in each dimension 127, and the norm digits in that
    base.

    The first digit is for the largest norm that a key of int8 numbers can have; dimensions without
    any spread add nothing to it.
    """
    of_keys = _INT8_LEVELS / np.where(largest > 0, largest, _INT8_LEVELS).astype(np.float64)
    largest_norm = 0.5 * np.sum((128.0 / of_keys) ** 2, where=largest > 0)
    first = _INT8_LEVELS / largest_norm if largest_norm else 1.0
    of_norms = [first * (2 * _INT8_LEVELS) ** part for part in range(NORM_DIMS)]
    return np.concatenate([of_norms, of_keys]).astype(np.float32)
