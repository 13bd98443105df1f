"""FAISS's worker, asked in either of its two ways to compute distances."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from turns import fastest
from worker import REPOSITORY, Worker

AS_FAISS_CHOOSES = "as FAISS chooses"
DISTANCES = {AS_FAISS_CHOOSES: None, "by matrix products": 1}
"""How they are computed -> the least queries x dimensions for which FAISS multiplies matrices: its
own is so high that a thousand queries of width 64 are compared with one key after the other."""


class Faiss:
    """A process with one index.

    Attributes:
      versions: of FAISS and its kernels, known after a search.
    """

    def __init__(self, python: str) -> None:
        self._worker = Worker(python, str(REPOSITORY / "benchmarks/faiss_worker.py"))
        self.versions: dict[str, str] = {}

    def build(self, factory: str, keys: Path) -> dict[str, Any]:
        """What it took."""
        return self._worker.ask(build=factory, keys=str(keys))

    def search(
        self,
        queries: Path,
        num_neighbors: int,
        distances: str = AS_FAISS_CHOOSES,
        **parameters: int,
    ) -> tuple[float, np.ndarray]:
        """Seconds of one search, by the worker's own clock, and the rows found."""
        rows = queries.with_name("faiss-rows.npy")
        answer = self._worker.ask(
            search=str(queries),
            parameters=parameters,
            num_neighbors=num_neighbors,
            rows=str(rows),
            products_from=DISTANCES[distances],
        )
        self.versions = answer["versions"]
        return float(answer["seconds"]), np.load(rows)

    def faster_distances(self, queries: Path, num_neighbors: int, **parameters: int) -> str:
        """The faster way for such a search."""

        def seconds(distances: str) -> float:
            return self.search(queries, num_neighbors, distances, **parameters)[0]

        return fastest({distances: partial(seconds, distances) for distances in DISTANCES})

    def close(self) -> None:
        self._worker.close()
