"""What held-out positions are shown: their neighbors, fewer, others, or none.

A held-out position asks the whole retrieval set: no game of it is its own.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from retrieve_rl.go.asking import SearchFn, TurnedNeighbors, ask
from retrieve_rl.go.built import Built
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.data import GoData
from retrieve_rl.go.index import keys_of
from retrieve_rl.go.neighbor_inputs import none_found
from retrieve_rl.go.splits import TEST, nested_draws
from retrieve_rl.go.symmetries import NUM_SYMMETRIES
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.memory import search
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.sharded import no_neighbors, renumber
from retrieve_rl.types import Array

AS_TRAINED, NO_NEIGHBORS = "as trained", "no neighbors"


class Condition(NamedTuple):
    """Neighbors of every held-out position, under one condition.

    Attributes:
      name: of the condition.
      facts: "source" ("index", "exact", "random" or "none"), "num_neighbors", "fraction" of the
        retrieval set's games, "orientations" asked in.
      neighbors: rows of the retrieval set.
    """

    name: str
    facts: dict[str, object]
    neighbors: TurnedNeighbors


def held_out_rows(config: GoConfig, data: GoData) -> Int[np.ndarray, " M"]:
    """Rows of the store: positions of test games, drawn by the seed, in the store's order."""
    rows = data.rows_of(TEST)
    count = min(config.held_out.positions, len(rows))
    return np.sort(np.random.default_rng([config.seed, 3]).choice(rows, count, replace=False))


def conditions(
    config: GoConfig,
    data: GoData,
    built: Built | None,
    rows: Int[np.ndarray, " M"],
    *,
    thorough: bool,
) -> Iterator[Condition]:
    """The condition of training and the one without neighbors; if `thorough`, all others too."""
    count = config.retrieval.num_neighbors
    nothing = none_found(len(rows), count)
    if built is None:
        yield _condition(AS_TRAINED, nothing, source="none")
        return
    keys = [
        keys_of(config, data, built.encoder, built.index.pca, rows, symmetry)
        for symmetry in range(NUM_SYMMETRIES if thorough else config.retrieval.orientations)
    ]
    own = config.retrieval.orientations

    def asked(search: SearchFn, number: int, orientations: int = own) -> TurnedNeighbors:
        return ask(keys.__getitem__, search, orientations, number)

    def in_index(number: int) -> SearchFn:
        memory = built.index.memory
        return lambda queries: search(memory, memory.index, queries, number)

    yield _condition(AS_TRAINED, asked(in_index(count), count), source="index", orientations=own)
    yield _condition(NO_NEIGHBORS, nothing, source="none")
    if not thorough:
        return
    for number in config.held_out.num_neighbors:
        if number != count:
            found = asked(in_index(number), number)
            yield _condition(f"{number} neighbors", found, source="index", orientations=own)
    for fraction in config.held_out.fractions:
        part = asked(_in_part(data, built, count, fraction), count)
        yield _condition(
            f"{fraction:.3g} of the games",
            part,
            source="exact",
            fraction=fraction,
            orientations=own,
        )
    yield _condition("random neighbors", _random(config, built, keys[0]), source="random")
    name, others = ("all orientations", NUM_SYMMETRIES) if own == 1 else ("one orientation", 1)
    turned = asked(in_index(count), count, others)
    yield _condition(name, turned, source="index", orientations=others)


def _condition(
    name: str,
    neighbors: TurnedNeighbors,
    *,
    source: str,
    fraction: float = 1.0,
    orientations: int = 1,
) -> Condition:
    facts: dict[str, object] = {
        "source": source,
        "num_neighbors": neighbors.indices.shape[1],
        "fraction": fraction,
        "orientations": orientations,
    }
    return Condition(name, facts, neighbors)


def _in_part(data: GoData, built: Built, num_neighbors: int, fraction: float) -> SearchFn:
    """Finds the exact neighbors among the positions of a fraction of the games."""
    members = np.flatnonzero(rows_of_fraction(data, fraction)).astype(np.int32)
    if not len(members):
        return lambda queries: no_neighbors(len(queries), num_neighbors)
    known = ExactIndex.build(built.index.take_keys(members))

    def found(queries: Float[Array, "M D"]) -> Neighbors:
        return renumber(known.search(queries, num_neighbors), members)

    return found


def rows_of_fraction(data: GoData, fraction: float) -> Bool[np.ndarray, " N"]:
    """Which rows of the retrieval set are of that fraction of the games, see `nested_draws`."""
    games = data.store.positions.games[data.retrieval_rows]
    return nested_draws(data.store.games.digests)[games] < fraction


def _random(config: GoConfig, built: Built, keys: Float[np.ndarray, "M D"]) -> TurnedNeighbors:
    """Rows drawn evenly, nearest first, with their true distances."""
    rng = np.random.default_rng([config.seed, 4])
    shape = (len(keys), config.retrieval.num_neighbors)
    indices = rng.integers(0, built.index.memory.index.num_keys, shape, np.int32)
    distances = np.empty(shape, np.float32)
    for column in range(shape[1]):
        drawn = built.index.take_keys(indices[:, column])
        distances[:, column] = np.sum((drawn - keys) ** 2, axis=1)
    order = np.argsort(distances, axis=1, kind="stable")
    indices, distances = (np.take_along_axis(part, order, axis=1) for part in (indices, distances))
    return TurnedNeighbors(indices, distances, np.zeros_like(indices))
