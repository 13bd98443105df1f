"""The ScaNN index: approximate, on the host.

scann is imported here and in `scann_learning` alone.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from retrieve_rl.errors import DataError, MissingDependencyError
from retrieve_rl.processes import usable_cores
from retrieve_rl.retrieval.inner_product import extended_queries, squared_distances
from retrieve_rl.retrieval.keys import as_queries
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.scann_config import ScannParameters, config_text
from retrieve_rl.retrieval.scann_kernels import fastest_kernels
from retrieve_rl.retrieval.scann_learning import ORIGIN_FILE
from retrieve_rl.types import Array

FILE_NAMES = frozenset(
    {
        "ah_codebook.pb",
        "bfloat16_dataset.npy",
        "datapoint_to_token.npy",
        "dataset.npy",
        "hashed_dataset.npy",
        "int8_dataset.npy",
        "int8_multipliers.npy",
        "dp_norms.npy",
        ORIGIN_FILE,
        "scann_assets.pbtxt",
        "scann_config.pb",
        "serialized_partitioner.pb",
    }
)
"""ScaNN's, and the origin. Of its others, `scann_docids.pkl` would be unpickled on loading."""


@dataclass(frozen=True)
class ScannIndex:
    """Keys in a ScaNN searcher; a row's number is its id.

    Attributes:
      searcher: ScaNN's, over all keys.
      parameters: what it was built with.
      num_keys: rows.
      dim: width of a key.
      origin: what keys and queries are measured from, lest those far from zero be rounded away.
      num_leaves_to_search: leaves visited per query; more find more and take longer.
      reordering_num_neighbors: candidates scored again with the kept keys.
    """

    searcher: Any
    parameters: ScannParameters
    num_keys: int
    dim: int
    origin: Float[np.ndarray, " D"]
    num_leaves_to_search: int
    reordering_num_neighbors: int

    @classmethod
    def without_tree(cls, keys: Float[Array, "N D"], parameters: ScannParameters) -> "ScannIndex":
        """An index whose every search scores all keys; `scann_build` makes those with a tree.

        `keys` must be finite: a NaN ends the process (see `keys.check_finite`).
        """
        from scann.scann_ops.py import scann_ops_pybind

        origin = np.asarray(np.mean(keys, axis=0, dtype=np.float64), np.float32)
        config = config_text(parameters, keys.shape[1])
        searcher = scann_ops_pybind.create_searcher(keys - origin, config)
        num_keys, dim = keys.shape
        return cls._with_defaults(searcher, parameters, num_keys, dim, origin)

    @classmethod
    def load(
        cls, folder: Path, parameters: ScannParameters, num_keys: int, dim: int
    ) -> "ScannIndex":
        """Reads what `save` wrote; the caller has verified the files.

        Raises:
          MissingDependencyError: ScaNN is not installed.
          DataError: a file that ScaNN does not write is among them, or it cannot read them.
        """
        try:
            from scann.scann_ops.py import scann_ops_pybind
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("scann"):
                raise
            raise MissingDependencyError(
                f"{folder} was built with ScaNN, which is not installed ({sys.platform}; it exists"
                " for Linux): install scann, or build the index anew with --index exact (with"
                " --task: --set index.kind=exact)"
            ) from None
        for path in folder.iterdir():
            if path.name not in FILE_NAMES:
                raise DataError(f"{path} is not a file of a ScaNN index: remove it, or rebuild")
        for name in ("scann_assets.pbtxt", ORIGIN_FILE):
            if not (folder / name).exists():
                raise DataError(f"{folder} lacks {name}: rebuild the index")
        try:
            searcher = scann_ops_pybind.load_searcher(str(folder), assets_backcompat_shim=False)
        except (ValueError, RuntimeError, OSError) as error:
            raise DataError(f"ScaNN cannot read {folder}: {error}") from None
        if searcher.size() != num_keys:
            raise DataError(f"{folder} holds {searcher.size()} keys, its manifest says {num_keys}")
        origin = np.load(folder / ORIGIN_FILE, allow_pickle=False)
        return cls._with_defaults(searcher, parameters, num_keys, dim, origin)

    @classmethod
    def _with_defaults(
        cls,
        searcher: Any,
        parameters: ScannParameters,
        num_keys: int,
        dim: int,
        origin: Float[np.ndarray, " D"],
    ) -> "ScannIndex":
        leaves = max(1, round(0.05 * parameters.num_leaves))
        return cls(searcher, parameters, num_keys, dim, origin, leaves, 100)

    def searching(
        self, *, num_leaves_to_search: int, reordering_num_neighbors: int
    ) -> "ScannIndex":
        """The same keys, searched otherwise; nothing is copied."""
        return replace(
            self,
            num_leaves_to_search=num_leaves_to_search,
            reordering_num_neighbors=reordering_num_neighbors,
        )

    def search(self, queries: Float[Array, "B D"], num_neighbors: int) -> Neighbors:
        """The nearest of the leaves searched; more leaves are searched where many are asked for.

        Distances are those of the kept keys: with bfloat16 or int8 they are rounded, and a key's
        own distance is not quite zero.

        Raises:
          DataError: a query is not finite (ScaNN would answer it with rows of zeros).
          ValueError: queries of another width, or `num_neighbors` < 1.
        """
        if num_neighbors < 1:
            raise ValueError(f"num_neighbors must be at least 1, found {num_neighbors}")
        queries = np.ascontiguousarray(as_queries(queries, self.dim))
        if not len(queries):
            return _padded(np.zeros((0, 0), np.int32), np.zeros((0, 0)), num_neighbors)
        asked = min(num_neighbors, self.num_keys)
        # One large batch a core: its queries share every leaf they read.
        batch_size = -(-len(queries) // usable_cores())

        def search(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
            with fastest_kernels():
                found: tuple[np.ndarray, np.ndarray] = self.searcher.search_batched_parallel(
                    *arguments, batch_size
                )
            return found

        queries = queries - self.origin
        if self.parameters.num_leaves == 0:
            indices, distances = search(queries, asked, None, None)
        else:
            reordering = max(self.reordering_num_neighbors, 2 * asked)
            leaves = self._leaves(asked)
            extended = extended_queries(queries)
            indices, products = search(extended, asked, reordering, leaves)
            distances = squared_distances(queries, products)
        return _padded(np.asarray(indices), np.asarray(distances), num_neighbors)

    def save(self, folder: Path) -> None:
        """Writes ScaNN's files, whose paths are relative, and the origin into `folder`."""
        self.searcher.serialize(str(folder), relative_path=True)
        np.save(folder / ORIGIN_FILE, self.origin, allow_pickle=False)

    def _leaves(self, asked: int) -> int:
        """At least so many that they hold four times what is asked for."""
        rows_per_leaf = self.num_keys / self.parameters.num_leaves
        needed = int(np.ceil(4 * asked / rows_per_leaf))
        return min(max(self.num_leaves_to_search, needed), self.parameters.num_leaves)


def _padded(indices: np.ndarray, distances: np.ndarray, num_neighbors: int) -> Neighbors:
    """ScaNN's answer, where it found too few (NaN distances) or too few exist, filled up."""
    found = np.isfinite(distances)
    indices = np.where(found, indices.astype(np.int32), np.int32(-1))  # they come unsigned
    distances = np.where(found, np.maximum(distances, 0.0), np.inf).astype(np.float32)
    if indices.shape[1] == num_neighbors:
        return Neighbors(indices, distances)
    padding = ((0, 0), (0, num_neighbors - indices.shape[1]))
    return Neighbors(
        np.pad(indices, padding, constant_values=-1),
        np.pad(distances, padding, constant_values=np.inf),
    )
