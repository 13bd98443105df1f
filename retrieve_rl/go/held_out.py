"""What held-out positions are shown: their neighbors, fewer, others, or none.

A held-out position asks the whole retrieval set: no game of it is its own.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from retrieve_rl.go.asking import TurnedNeighbors, ask
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
    keys = keys_of(config, data, built.encoder, built.index.pca, rows)
    yield _condition(AS_TRAINED, _as_played(_search(built, keys, count)), source="index")
    yield _condition(NO_NEIGHBORS, nothing, source="none")
    if not thorough:
        return
    for number in config.held_out.num_neighbors:
        if number != count:
            found = _as_played(_search(built, keys, number))
            yield _condition(f"{number} neighbors", found, source="index")
    for fraction in config.held_out.fractions:
        if fraction < 1.0:
            part = _search_part(data, built, keys, count, fraction)
            yield _condition(
                f"{fraction:.3g} of the games", part, source="exact", fraction=fraction
            )
    yield _condition("random neighbors", _random(config, built, keys), source="random")
    turned = _ask_turned(config, data, built, rows, count)
    yield _condition("all orientations", turned, source="index", orientations=NUM_SYMMETRIES)


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


def _as_played(found: Neighbors) -> TurnedNeighbors:
    indices, distances = (np.asarray(part) for part in found)
    return TurnedNeighbors(indices, distances, np.zeros_like(indices))


def _search(built: Built, keys: Float[np.ndarray, "M D"], num_neighbors: int) -> Neighbors:
    memory = built.index.memory
    return search(memory, memory.index, keys, num_neighbors)


def _search_part(
    data: GoData,
    built: Built,
    keys: Float[np.ndarray, "M D"],
    num_neighbors: int,
    fraction: float,
) -> TurnedNeighbors:
    """The exact neighbors among the positions of a fraction of the games."""
    members = np.flatnonzero(rows_of_fraction(data, fraction))
    if not len(members):
        return none_found(len(keys), num_neighbors)
    known = ExactIndex.build(built.index.take_keys(members))
    found = _as_played(known.search(keys, num_neighbors))
    indices = np.where(found.indices >= 0, members[found.indices], -1).astype(np.int32)
    return found._replace(indices=indices)


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
    return _as_played(
        Neighbors(*(np.take_along_axis(part, order, axis=1) for part in (indices, distances)))
    )


def _ask_turned(
    config: GoConfig,
    data: GoData,
    built: Built,
    rows: Int[np.ndarray, " M"],
    num_neighbors: int,
) -> TurnedNeighbors:
    return ask(
        lambda symmetry: keys_of(config, data, built.encoder, built.index.pca, rows, symmetry),
        lambda keys: _search(built, keys, num_neighbors),
        NUM_SYMMETRIES,
        num_neighbors,
    )
