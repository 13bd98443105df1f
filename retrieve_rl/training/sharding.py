"""Data-parallel training: every device holds all parameters and takes its part of each batch.

XLA adds up the parts' gradients. A run on several devices follows the run on one but for rounding.
"""

from typing import TypeVar

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from retrieve_rl.errors import UsageError
from retrieve_rl.types import Array

_BATCH = "batch"

Tree = TypeVar("Tree")


def mesh_of(num_devices: int) -> Mesh | None:
    """The first devices; None for one, which needs no mesh."""
    if num_devices == 1:
        return None
    return Mesh(jax.devices()[:num_devices], (_BATCH,))


def check_divides(num_devices: int, batch_size: int) -> None:
    """Raises UsageError where a batch cannot be cut into equal parts."""
    if batch_size % num_devices:
        raise UsageError(
            f"a batch of {batch_size} cannot be cut for {num_devices} devices: set"
            f" train.batch_size to a multiple of {num_devices}, or --devices to a divisor"
        )


def replicated(tree: Tree, mesh: Mesh | None) -> Tree:
    """The arrays on every device."""
    if mesh is None:
        return jax.device_put(tree)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split(batch: Tree, mesh: Mesh | None) -> Tree:
    """The batch cut among the devices along its first axis; inside `jit`.

    An array of the batch whose first axis cannot be cut, as one that all examples share, is whole
    everywhere.
    """
    if mesh is None:
        return batch
    cut, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((_BATCH,), ()))

    def constrained(array: Array) -> Array:
        can_be_cut = array.ndim > 0 and array.shape[0] % mesh.size == 0
        return jax.lax.with_sharding_constraint(array, cut if can_be_cut else whole)

    return jax.tree.map(constrained, batch)
