"""A memory's shards on a Ray cluster: one shard an actor, for indexes larger than one machine.

Needs the extra `ray`. Every node reads the memory under the same path (a shared file system, or a
copy); an actor that dies is started again by Ray, on another node if need be.
"""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, ResourceError
from retrieve_rl.ray_extra import import_ray
from retrieve_rl.retrieval.keys import as_queries
from retrieve_rl.retrieval.memory_files import KIND, open_shard
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.sharded import nearest_of
from retrieve_rl.types import Array

# A fraction, so that actors that wait for queries leave the processors to others.
_CPUS_PER_ACTOR = 0.1


class RayShardedIndex:
    """The nearest of all shards' answers, each from its own actor.

    All shards answer or the search fails: a shard that stays away never makes an answer smaller.
    Use it as a context manager, or call `close`.
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 120.0) -> None:
        """Starts one actor a shard on the cluster `ray.init` has connected to.

        Raises:
          MissingDependencyError: ray is not installed.
          DataError: no memory at `path`, or a node finds another one there.
          ResourceError: a shard is not up within `timeout_seconds`.
        """
        self._ray = import_ray()
        self._timeout_seconds = timeout_seconds
        self._path = path.absolute()
        manifest = artifacts.read_manifest(self._path, kind=KIND)
        facts = manifest.metadata
        self.dim: int = facts["dim"]
        self.num_keys = sum(shard["num_keys"] for shard in facts["shards"])
        actor = self._ray.remote(num_cpus=_CPUS_PER_ACTOR, max_restarts=-1, max_task_retries=-1)(
            _ShardActor
        )
        self.actors = [
            actor.remote(str(self._path), manifest.digest, number)
            for number in range(len(facts["shards"]))
        ]
        self._collect({n: actor.ready.remote() for n, actor in enumerate(self.actors)})

    def search(self, queries: Float[Array, "B D"], num_neighbors: int) -> Neighbors:
        """As `ShardedIndex.search`.

        Raises:
          ResourceError: a shard gave no answer within the time allowed, or is gone: where its
            memory was replaced, it cannot start again.
        """
        queries = as_queries(queries, self.dim)
        sent = self._ray.put(queries)
        answers = self._collect(
            {
                number: actor.search.remote(sent, num_neighbors)
                for number, actor in enumerate(self.actors)
            }
        )
        found = (Neighbors(*answer) for answer in answers.values())
        return nearest_of(found, len(queries), num_neighbors)

    def close(self) -> None:
        """Ends the actors."""
        for actor in self.actors:
            self._ray.kill(actor)

    def __enter__(self) -> "RayShardedIndex":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _collect(self, references: dict[int, Any]) -> dict[int, Any]:
        """The answers by shard."""
        waiting = list(references.values())
        ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=self._timeout_seconds)
        missing = [number for number, answer in references.items() if answer not in ready]
        if missing:
            raise ResourceError(
                f"shards {missing} of {self._path} gave no answer within"
                f" {self._timeout_seconds:.0f} s: is a node of the cluster down?"
            )
        try:
            return dict(zip(references, self._ray.get(waiting), strict=True))
        except self._ray.exceptions.RayActorError as error:
            raise ResourceError(f"a shard of {self._path} is gone: {error}") from None
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None


class _ShardActor:
    """Holds one shard of the memory with this digest, once its files are verified."""

    def __init__(self, path: str, digest: str, number: int) -> None:
        name = f"shards/{number:05d}"
        manifest = artifacts.verify(Path(path), kind=KIND, within=name)
        if manifest.digest != digest:
            raise DataError(f"another memory than the one that was opened lies at {path}")
        facts = manifest.metadata
        self._shard = open_shard(Path(path) / name, facts["shards"][number], facts["dim"])

    def ready(self) -> bool:
        return True

    def search(self, queries: np.ndarray, num_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        found = self._shard.search(queries, num_neighbors)
        return np.asarray(found.indices), np.asarray(found.distances)
