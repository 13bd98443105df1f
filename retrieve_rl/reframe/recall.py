"""Asking the memory: what a step's query is, what it may not see, and what comes back.

With a frozen query (`encoder`, `observation`) the nearest of a whole data set are computed once,
before training, by `recall_table`; a learned query searches inside the train step (`model.py`), and
random neighbors are drawn for every batch anew (`train.py`).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.amb import AssociativeMemoryBuffer, Autoencoder
from retrieve_rl.reframe.config import RetrievalConfig
from retrieve_rl.reframe.windows import StepTable
from retrieve_rl.retrieval.neighbors import NO_GROUP, Neighbors, nearest
from retrieve_rl.signals import UNASKED, StopRequest
from retrieve_rl.types import Array

_QUERIES_AT_ONCE = 2048
_DRAWS = 16
"""For one random neighbor, of which the first that may be seen counts: where one of two episodes is
hidden, all of them are once in 65,536."""


class HiddenGroups(NamedTuple):
    """Which rows of the memory a query must not see.

    Attributes:
      key_groups: the group of every row of the memory.
      not_from: the groups hidden from each query; `NO_GROUP` hides nothing.
    """

    key_groups: Int[Array, " N"]
    not_from: Int[Array, "*B G"]


def hide_own_trajectory(
    memory: AssociativeMemoryBuffer,
    trajectories: Int[np.ndarray, " S"],
    timesteps: Int[np.ndarray, " S"],
    segment: int,
) -> HiddenGroups:
    """Hides from an expert step its own episode; where the memory holds one episode only, its own
    segment of `segment` steps and the two beside it.

    `trajectories` are the memory's episode numbers of the queries, -1 for steps of other data.
    """
    if memory.num_rows and int(memory.trajectories.max()) > 0:
        return HiddenGroups(memory.trajectories, trajectories[:, None])
    own = timesteps[:, None] // segment + np.arange(-1, 2)
    hidden = np.where((trajectories[:, None] >= 0) & (own >= 0), own, NO_GROUP)
    return HiddenGroups(memory.timesteps // segment, hidden.astype(np.int32))


def state_queries(
    config: RetrievalConfig,
    autoencoder: Autoencoder | None,
    returns_to_go: Float[Array, "*B"],
    observations: Float[Array, "*B O"],
) -> Float[Array, "*B D"]:
    """The frozen queries: the encoder's view of the state, or the observation itself."""
    if config.query == "observation" or autoencoder is None:
        return observations
    return autoencoder.encode_state(returns_to_go, observations)


def search(
    config: RetrievalConfig,
    memory: AssociativeMemoryBuffer,
    queries: Float[Array, "B D"],
    hidden: HiddenGroups | None,
    rng_key: PRNGKeyArray,
) -> Neighbors:
    """The neighbors that `config.source` asks for: the nearest rows, or random ones."""
    if config.source == "random":
        return draw(memory, queries, config.num_neighbors, hidden, rng_key)
    groups = hidden._asdict() if hidden is not None else {}
    return nearest(memory.keys, queries, config.num_neighbors, **groups)


def draw(
    memory: AssociativeMemoryBuffer,
    queries: Float[Array, "B D"],
    num_neighbors: int,
    hidden: HiddenGroups | None,
    rng_key: PRNGKeyArray,
) -> Neighbors:
    """Random rows, uniform among those that a query may see, in the order of their drawing.

    They carry their true distances. Where too few of the draws may be seen, neighbors are missing.
    """
    draws = num_neighbors if hidden is None else _DRAWS * num_neighbors
    indices = jax.random.randint(rng_key, (queries.shape[0], draws), 0, memory.num_rows)
    if hidden is not None:
        own = hidden.key_groups[indices][:, :, None] == hidden.not_from[:, None]
        own = jnp.any(own & (hidden.not_from[:, None] != NO_GROUP), axis=-1)
        seen_first = jnp.argsort(own, axis=-1, stable=True)[:, :num_neighbors]
        indices = jnp.take_along_axis(jnp.where(own, -1, indices), seen_first, axis=-1)
    distances = jnp.sum((queries[:, None] - memory.keys[indices]) ** 2, axis=-1)
    return Neighbors(indices, jnp.where(indices >= 0, distances, jnp.inf))


@partial(jax.jit, static_argnames="config")
def _search_rows(
    config: RetrievalConfig,
    memory: AssociativeMemoryBuffer,
    autoencoder: Autoencoder | None,
    table: StepTable,
    hidden: HiddenGroups,
    first: Int[Array, ""],
) -> Neighbors:
    rows = (first + jnp.arange(_QUERIES_AT_ONCE)) % table.num_steps
    queries = state_queries(
        config, autoencoder, table.returns_to_go[rows], table.observations[rows]
    )
    hidden = hidden._replace(not_from=hidden.not_from[rows])
    return nearest(memory.keys, queries, config.num_neighbors, **hidden._asdict())


def recall_table(
    config: RetrievalConfig,
    memory: AssociativeMemoryBuffer,
    autoencoder: Autoencoder | None,
    table: StepTable,
    hidden: HiddenGroups,
    reporter: Reporter,
    stop: StopRequest = UNASKED,
) -> Neighbors:
    """The nearest of every row of `table`, for frozen queries: arrays [S, K] on the host.

    Raises:
      Interrupted: a signal asked to stop.
    """
    memory, table, hidden = jax.device_put((memory, table, hidden))
    indices = np.empty((table.num_steps, config.num_neighbors), np.int32)
    distances = np.empty((table.num_steps, config.num_neighbors), np.float32)
    with reporter.track("neighbors", table.num_steps) as advance:
        for first in range(0, table.num_steps, _QUERIES_AT_ONCE):
            stop.raise_if_requested("the neighbors are found anew next time")
            last = min(first + _QUERIES_AT_ONCE, table.num_steps)
            found = _search_rows(config, memory, autoencoder, table, hidden, jnp.int32(first))
            indices[first:last] = found.indices[: last - first]
            distances[first:last] = found.distances[: last - first]
            advance(last)
    return Neighbors(indices, distances)
