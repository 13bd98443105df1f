"""ScaNN's parameters for a number of keys, and the text configuration that states them."""

import math
from itertools import groupby
from typing import Literal

import numpy as np
from jaxtyping import Float

from retrieve_rl.config import Strict
from retrieve_rl.retrieval.inner_product import NORM_DIMS
from retrieve_rl.types import Array

Reorder = Literal["float32", "bfloat16", "int8"]

TREE_FROM = 1000
"""Keys from which a tree of leaves is worth its training."""
_LEARNED_FROM, _LEARNED_FROM_PER_LEAF = 100_000, 20
COMPARED_LEAVES = 5000
"""A key is compared with so many leaves, at most; of more, with those near its group."""
NUM_GROUPS, LISTED_LEAVES = 512, 1024
"""Groups, and leaves near each: fewer than COMPARED_LEAVES, and a whole number of score blocks."""
_DIMS_PER_BLOCK = 2
CODEWORDS = 16
"""Of a block of asymmetric hashing: four bits."""


class ScannParameters(Strict):
    """What a ScaNN index is built with, in ScaNN's words.

    Attributes:
      num_leaves: partitions of the keys; 0: no tree, every search scores all keys.
      block_widths: dimensions of each block of asymmetric hashing; a block costs four bits a key.
      reorder: how the keys are kept with which the best candidates are scored again.
    """

    num_leaves: int
    block_widths: tuple[int, ...]
    reorder: Reorder = "bfloat16"


def parameters_for(
    num_keys: int, variances: Float[Array, " D"], reorder: Reorder = "bfloat16"
) -> ScannParameters:
    """2 sqrt(2 N) leaves, and a block for every two dimensions, cut to suit the variances."""
    if num_keys < TREE_FROM:
        return ScannParameters(num_leaves=0, block_widths=(), reorder=reorder)
    return ScannParameters(
        num_leaves=leaves_for(num_keys),
        block_widths=block_widths(variances, num_blocks(len(variances))),
        reorder=reorder,
    )


def leaves_for(num_keys: int) -> int:
    """Of an index with a tree."""
    return round(2 * math.sqrt(2 * num_keys))


def learned_from(num_leaves: int) -> int:
    """Keys that leaves and codewords are learned from, at most."""
    return max(_LEARNED_FROM, _LEARNED_FROM_PER_LEAF * num_leaves)


def num_blocks(dim: int) -> int:
    """Blocks of asymmetric hashing for keys of width `dim`."""
    return math.ceil(dim / _DIMS_PER_BLOCK)


def block_widths(variances: Float[Array, " D"], count: int) -> tuple[int, ...]:
    """Cuts the dimensions into `count` runs with the smallest expected quantization error.

    Sixteen codewords for m dimensions of variances v leave an error of about
    m (prod v)^(1/m) 16^(-2/m) (rate-distortion of a Gaussian). On principal components this gives
    the first dimensions blocks of their own and the last ones wide blocks: at equal cost the recall
    is far higher than with blocks of one width.
    """
    width = len(variances)
    floor = 1e-9 * float(np.max(variances)) + np.finfo(np.float64).tiny
    log_sums = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(variances, floor)))])

    best = np.full((count + 1, width + 1), np.inf)
    came_from = np.zeros((count + 1, width + 1), np.int64)
    best[0, 0] = 0.0
    errors = np.full((width + 1, width + 1), np.inf)
    for stop in range(1, width + 1):
        m = stop - np.arange(stop)
        mean_log = (log_sums[stop] - log_sums[:stop]) / m
        errors[:stop, stop] = m * np.exp(mean_log) * CODEWORDS ** (-2 / m)
    for block in range(1, count + 1):
        totals = best[block - 1][:, None] + errors  # [start, stop]
        came_from[block] = np.argmin(totals, axis=0)
        best[block] = totals[came_from[block], np.arange(width + 1)]
    widths: list[int] = []
    stop = width
    for block in range(count, 0, -1):
        start = int(came_from[block, stop])
        widths.append(stop - start)
        stop = start
    return tuple(reversed(widths))


def config_text(parameters: ScannParameters, dim: int) -> str:
    """ScaNN's text protocol buffer.

    Its tree is for keys extended as in `inner_product`: ScaNN has residual codes, and one list of
    candidates over all leaves, for inner products only, and a leaf then takes half the time. The
    package's own builder knows blocks of one width only. Centers are initialized by k-means++ and
    not at random: random ones make every build different.
    """
    if not parameters.num_leaves:
        kept = _KEPT_AS[parameters.reorder]
        return f"num_neighbors: 10 {_distance('SquaredL2')} brute_force {{ {kept} }}"
    return "\n".join(
        [
            f"num_neighbors: 10 {_distance('DotProduct')}",
            _partitioning(parameters.num_leaves),
            _hashing((1,) * NORM_DIMS + parameters.block_widths, NORM_DIMS + dim),
            _reordering(parameters.reorder),
        ]
    )


def _distance(name: str) -> str:
    return f'distance_measure {{ distance_measure: "{name}Distance" }}'


def _partitioning(num_leaves: int) -> str:
    return f"""partitioning {{
  num_children: {num_leaves}
  min_cluster_size: 1
  max_clustering_iterations: 12
  single_machine_center_initialization: DEFAULT_KMEANS_PLUS_PLUS
  partitioning_distance {{ distance_measure: "SquaredL2Distance" }}
  query_spilling {{ spilling_type: FIXED_NUMBER_OF_CENTERS max_spill_centers: {num_leaves} }}
  expected_sample_size: {learned_from(num_leaves)}
  query_tokenization_distance_override {{ distance_measure: "DotProductDistance" }}
  partitioning_type: GENERIC
  query_tokenization_type: FLOAT
}}"""


def _hashing(widths: tuple[int, ...], dim: int) -> str:
    runs = [(width, len(list(run))) for width, run in groupby(widths)]
    blocks = " ".join(
        f"variable_blocks {{ num_blocks: {count} num_dims_per_block: {width} }}"
        for width, count in runs
    )
    return f"""hash {{ asymmetric_hash {{
  lookup_type: INT8_LUT16
  use_residual_quantization: True
  use_global_topn: True
  quantization_distance {{ distance_measure: "SquaredL2Distance" }}
  num_clusters_per_block: {CODEWORDS}
  projection {{ input_dim: {dim} projection_type: VARIABLE_CHUNK {blocks} }}
  fixed_point_lut_conversion_options {{ float_to_int_conversion_method: ROUND }}
  noise_shaping_threshold: nan
  expected_sample_size: {_LEARNED_FROM}
  max_clustering_iterations: 10
}} }}"""


_KEPT_AS = {
    "float32": "fixed_point { enabled: False }",
    "bfloat16": "bfloat16 { enabled: True }",
    "int8": "fixed_point { enabled: True }",
}


def _reordering(reorder: Reorder) -> str:
    return f"exact_reordering {{ approx_num_neighbors: 100 {_KEPT_AS[reorder]} }}"
