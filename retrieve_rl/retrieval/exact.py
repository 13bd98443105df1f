"""The exact index: a matrix product and a top-k, on the host or inside `jit`."""

from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.retrieval.neighbors import (
    KeyBlocks,
    Neighbors,
    as_groups,
    cut,
    nearest_in_blocks,
)
from retrieve_rl.types import Array

FILE_NAME = "keys.npy"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ExactIndex:
    """Finds the true neighbors; a pytree, so that it can be an argument of a jitted function.

    Attributes:
      blocks: the keys, made ready for searching.
      num_keys: how many there are.
    """

    blocks: KeyBlocks
    num_keys: int = field(metadata={"static": True})

    @classmethod
    def build(
        cls, keys: Float[Array, "N D"], key_groups: Int[Array, " N"] | None = None
    ) -> "ExactIndex":
        """Raises ValueError where groups do not fit 32 bits."""
        groups = None if key_groups is None else as_groups(key_groups)
        return cls(_cut(jnp.asarray(keys), groups), len(keys))

    @property
    def dim(self) -> int:
        return self.blocks.center.shape[0]

    def search(
        self,
        queries: Float[Array, "B D"],
        num_neighbors: int,
        *,
        not_from: Int[Array, "B G"] | None = None,
    ) -> Neighbors:
        """As `neighbors.nearest`; `not_from` needs an index that was built with `key_groups`.

        Raises:
          ValueError: as `neighbors.nearest`, or `not_from` is given and the index has no groups.
        """
        hidden = None if not_from is None else as_groups(not_from)
        return _search(self.blocks, jnp.asarray(queries), num_neighbors, not_from=hidden)

    def save(self, folder: Path) -> None:
        """Writes the keys into `folder`."""
        keys = np.asarray(self.blocks.tiles).reshape(-1, self.dim)[: self.num_keys]
        np.save(folder / FILE_NAME, keys, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, key_groups: Int[Array, " N"] | None = None) -> "ExactIndex":
        """Reads what `save` wrote; the caller has verified the files."""
        keys = np.load(folder / FILE_NAME, mmap_mode="r", allow_pickle=False)
        return cls.build(keys, key_groups)


_cut = jax.jit(cut)
_search = jax.jit(nearest_in_blocks, static_argnames="num_neighbors")
