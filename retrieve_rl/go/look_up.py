"""A position beside its nearest neighbors (Humphreys et al. 2022, Figure 3)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from retrieve_rl.go.built import Built
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.diagrams import Diagram, diagram_of_row, document_of
from retrieve_rl.go.index import neighbors_of_positions
from retrieve_rl.go.queries import Query


class Neighbor(NamedTuple):
    """A position that was found.

    Attributes:
      diagram: turned to the query's orientation.
      distance: squared Euclidean, between keys.
      symmetry: what turned it; see `symmetries`.
    """

    diagram: Diagram
    distance: float
    symmetry: int


@dataclass(frozen=True)
class LookUp:
    """A query and its neighbors, nearest first."""

    query: Diagram
    neighbors: tuple[Neighbor, ...]


def look_up(config: GoConfig, built: Built, query: Query, num_neighbors: int) -> LookUp:
    """The nearest positions of training games; none from the query's own game.

    Asked in `index.orientations` orientations. Fewer than `num_neighbors` where there are no more.
    """
    found = neighbors_of_positions(
        config,
        built.data,
        built.encoder,
        built.index,
        query.positions,
        komi=np.array([query.diagram.record.komi], np.float32),
        hidden_games=built.data.store.games.find(np.frombuffer(query.digest, np.uint8)[None]),
        num_neighbors=num_neighbors,
    )
    one_query = (column[0].tolist() for column in found)
    return LookUp(
        query.diagram,
        tuple(
            Neighbor(diagram_of_row(built.data.store, row, symmetry), distance, symmetry)
            for row, distance, symmetry in zip(*one_query, strict=True)
            if row >= 0
        ),
    )


def document_of_look_up(found: LookUp) -> dict[str, Any]:
    """Query and neighbors as strict JSON."""
    return {
        "query": document_of(found.query),
        "neighbors": [
            {
                "distance": neighbor.distance,
                "symmetry": neighbor.symmetry,
                **document_of(neighbor.diagram),
            }
            for neighbor in found.neighbors
        ],
    }
