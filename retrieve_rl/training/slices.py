"""Gradients of a batch, added up slice after slice.

On a CPU a network over a whole batch leaves more behind for the backward pass than its caches hold,
and waits for memory; slices of a few examples wait less, and one for each core, side by side, keeps
the cores busy (benchmarks/NOTES.md has how much).
"""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp

from retrieve_rl.processes import usable_cores
from retrieve_rl.types import Array

BOARDS_IN_SLICE = 16
"""Of slices of 8 to 64, the fastest for networks of 32 to 64 channels, by a little."""

Tree = Any
GradientFn = Callable[[Tree, Tree], tuple[Tree, Tree]]
"""Parameters and a batch give what is told of it and the gradients, both means over the batch."""


def num_slices(*sizes: int, at_least: int = BOARDS_IN_SLICE, num_devices: int = 1) -> int:
    """How many slices a batch is best cut into here: one on a GPU, or for several devices.

    Args:
      sizes: of the batch, and of parts of it that every slice has a share of.
      at_least: examples of a slice.
    """
    if num_devices > 1 or jax.default_backend() != "cpu":
        return 1
    most = max(sizes) // at_least
    fitting = (count for count in range(1, most + 1) if all(size % count == 0 for size in sizes))
    return max(fitting, default=1)


def side_by_side(count: int) -> int:
    """How many of `count` slices are best computed at the same time: one a core."""
    return max(few for few in range(1, usable_cores() + 1) if count % few == 0)


def in_slices(
    gradient_fn: GradientFn, params: Tree, batch: Tree, count: int, at_once: int = 1
) -> tuple[Tree, Tree]:
    """`gradient_fn` of the whole batch, but for rounding; `count` divides every first axis.

    A slice takes every `count`-th example, so that what comes first in the batch comes first in it.
    XLA may compute `at_once` slices, a divisor of `count`, at the same time; they are added up in
    one order all the same.
    """
    if count == 1:
        return gradient_fn(params, batch)
    groups = jax.tree.map(partial(_cut, count, at_once), batch)
    gradient_fn = jax.jit(gradient_fn)  # traced once for all of what follows

    def add(total: Tree, group: Tree) -> tuple[Tree, None]:
        # No `vmap`, which would make single, larger operations of them.
        for number in range(at_once):
            one = jax.tree.map(itemgetter(number), group)
            total = jax.tree.map(jnp.add, total, gradient_fn(params, one))
        return total, None

    shapes = jax.eval_shape(gradient_fn, params, jax.tree.map(lambda part: part[0, 0], groups))
    nothing = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
    total, _ = jax.lax.scan(add, nothing, groups)
    return jax.tree.map(_divided_by(count), total)


def _cut(count: int, at_once: int, part: Array) -> Array:
    slices = part.reshape(part.shape[0] // count, count, *part.shape[1:]).swapaxes(0, 1)
    return slices.reshape(count // at_once, at_once, *slices.shape[1:])


def _divided_by(count: int) -> Callable[[Array], Array]:
    return lambda part: part / count
