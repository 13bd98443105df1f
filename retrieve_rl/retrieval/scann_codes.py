"""Keys coded as ScaNN codes them, from what was learned of a sample.

ScaNN builds an index in memory, from all keys at once. What its files hold of a key follows from
that key alone: its leaf, the nearest codeword of each block of dimensions for what the leaf's
center leaves over (asymmetric hashing of residuals, Guo et al. 2020), and the key as it is kept for
reordering. So any number of keys is coded in a stream.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.inner_product import NORM_DIMS
from retrieve_rl.retrieval.leaves import first_best, in_blocks, leaves_of, padded
from retrieve_rl.retrieval.neighbors import product
from retrieve_rl.retrieval.row_files import RowType
from retrieve_rl.retrieval.scann_config import CODEWORDS, Reorder, ScannParameters
from retrieve_rl.retrieval.scann_learning import NORM_DIVISORS, Learned
from retrieve_rl.types import Array


def columns(parameters: ScannParameters, dim: int) -> dict[str, RowType]:
    """ScaNN's files with a row per key, by name."""
    types: dict[Reorder, tuple[str, type[np.number]]] = {
        "float32": ("dataset", np.float32),
        "bfloat16": ("bfloat16_dataset", np.int16),
        "int8": ("int8_dataset", np.int8),
    }
    kept, dtype = types[parameters.reorder]
    return {
        "datapoint_to_token": RowType(np.int32, ()),
        "hashed_dataset": RowType(np.uint8, (NORM_DIMS + len(parameters.block_widths),)),
        kept: RowType(dtype, (NORM_DIMS + dim,)),
    }


def code(
    learned: Learned, keys: Float[np.ndarray, "R D"], parameters: ScannParameters
) -> dict[str, np.ndarray]:
    """Rows of the files that `columns` names."""
    rows = _code(learned, padded(jnp.asarray(keys)), parameters.reorder)
    names = columns(parameters, keys.shape[1])
    return {name: np.asarray(part)[: len(keys)] for name, part in zip(names, rows, strict=True)}


@partial(jax.jit, static_argnames="reorder")
def _code(
    learned: Learned, keys: Float[Array, "R D"], reorder: Reorder
) -> tuple[Int[Array, " R"], Int[Array, "R M+3"], Array]:
    keys = keys - learned.origin
    leaves = leaves_of(learned.leaves, keys)
    codes = in_blocks(_residual_codes(learned), keys, leaves)
    return leaves, codes.astype(jnp.uint8), _kept(keys, learned.multipliers, reorder)


def _residual_codes(learned: Learned) -> Callable[[Array, Array], Array]:
    """A function from keys [Q, D] and their leaves [Q] to their codes [Q, 3 + M], see `learn`."""
    nearest_codewords = _nearest_codewords(learned.codewords)
    words = learned.codewords.reshape(-1, learned.codewords.shape[-1])

    def codes_of(keys: Float[Array, "Q D"], leaves: Int[Array, " Q"]) -> Int[Array, "Q M+3"]:
        centers = learned.leaves.centers[leaves]
        residuals = keys - centers
        codes = nearest_codewords(residuals)
        chosen = codes[:, None, :] == jnp.arange(CODEWORDS)[:, None]
        coded = product(chosen.reshape(len(keys), -1).astype(keys.dtype), words)
        norms = -0.5 * jnp.sum(residuals**2, axis=1) - jnp.sum(centers * coded, axis=1)
        return jnp.concatenate([_norm_codes(learned.norm_levels, norms), codes], axis=1)

    return codes_of


def _norm_codes(levels: Float[Array, "3 W"], norms: Float[Array, " Q"]) -> Int[Array, "Q 3"]:
    codes = []
    for block, divisor in zip(levels, NORM_DIVISORS, strict=True):
        codes.append(first_best(-jnp.abs(norms[:, None] / divisor - block)))
        norms = norms - block[codes[-1]]
    return jnp.stack(codes, axis=1)


def _kept(keys: Float[Array, "R D"], multipliers: Float[Array, " D+3"], reorder: Reorder) -> Array:
    """The keys as they are kept; before them the norm of what is kept, in parts that add up to it.

    ScaNN divides int8 numbers by the multipliers.
    """
    rounded = {"float32": _float32, "bfloat16": _bfloat16, "int8": _int8}[reorder]
    kept, values = rounded(keys, multipliers[NORM_DIMS:])
    parts = []
    left = -0.5 * jnp.sum(values**2, axis=1)
    for multiplier in multipliers[:NORM_DIMS]:
        part, value = rounded(left, multiplier)
        parts.append(part)
        left = left - value
    return jnp.concatenate([jnp.stack(parts, axis=1), kept], axis=1)


Rounded = tuple[Array, Array]
"""Numbers as they are kept, and their values."""


def _float32(values: Float[Array, "..."], multipliers: Float[Array, "..."]) -> Rounded:
    del multipliers
    return values, values


def _bfloat16(values: Float[Array, "..."], multipliers: Float[Array, "..."]) -> Rounded:
    del multipliers
    kept = values.astype(jnp.bfloat16)
    return jax.lax.bitcast_convert_type(kept, jnp.int16), kept.astype(jnp.float32)


def _int8(values: Float[Array, "..."], multipliers: Float[Array, "..."]) -> Rounded:
    kept = jnp.clip(jnp.round(values * multipliers), -128, 127)
    return kept.astype(jnp.int8), kept / multipliers


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
        scores = product(keys - origin, weights).reshape(len(keys), *norms.shape) - norms
        return first_best(scores)

    return choose
