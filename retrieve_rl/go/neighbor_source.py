"""Where the neighbors of positions that are being played come from."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.go.asking import TurnedNeighbors, ask
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.encoder import TrainedEncoder, predict
from retrieve_rl.go.index import GoIndex
from retrieve_rl.go.neighbor_inputs import RetrievalSet
from retrieve_rl.go.positions import Positions
from retrieve_rl.retrieval.memory import search
from retrieve_rl.retrieval.pca import project


@dataclass(frozen=True)
class NeighborSource:
    """An index, what its keys are made with, and the positions behind its rows.

    The games being played are not in the set, so none has to be hidden.

    Attributes:
      orientations: in how many a position asks, as those did that the policy was trained with.
      layer: of the encoder, whose activations become keys.
      known: on the device; row for row as the index holds them.
    """

    orientations: int
    layer: str
    encoder: TrainedEncoder
    index: GoIndex
    known: RetrievalSet

    @property
    def digest(self) -> str:
        """Of the index."""
        return self.index.memory.manifest.digest

    def keys(
        self, positions: Positions, komi: Float[np.ndarray, " B"], symmetry: int = 0
    ) -> Float[np.ndarray, "B D"]:
        """The keys of host positions turned by a symmetry; one compilation for every B."""
        symmetries = np.full(len(komi), symmetry, np.int32)
        graphdef, params, _ = self.encoder
        told = predict(graphdef, params, positions, komi, symmetries)
        return project(self.index.pca, np.asarray(getattr(told, self.layer)))

    def nearest(
        self, positions: Positions, komi: Float[np.ndarray, " B"], num_neighbors: int
    ) -> TurnedNeighbors:
        """The neighbors that the index finds; indices are its rows."""
        memory = self.index.memory
        return ask(
            lambda symmetry: self.keys(positions, komi, symmetry),
            lambda keys: search(memory, memory.index, keys, num_neighbors),
            self.orientations,
            num_neighbors,
        )

    def random(
        self,
        positions: Positions,
        komi: Float[np.ndarray, " B"],
        num_neighbors: int,
        seeds: Sequence[tuple[int, ...]],
    ) -> TurnedNeighbors:
        """Rows drawn evenly, by a seed for each position, with their true distances."""
        shape = (len(komi), num_neighbors)
        drawn: Int[np.ndarray, "B K"] = np.empty(shape, np.int32)
        for row, seed in enumerate(seeds):
            rng = np.random.default_rng(seed)
            drawn[row] = rng.integers(0, self.index.memory.index.num_keys, num_neighbors)
        between = self.index.take_keys(drawn) - self.keys(positions, komi)[:, None]
        distances = np.sum(between**2, axis=2)
        order = np.argsort(distances, axis=1, kind="stable")
        drawn, distances = (np.take_along_axis(part, order, axis=1) for part in (drawn, distances))
        return TurnedNeighbors(drawn, distances, np.zeros_like(drawn))


def neighbor_source(
    config: GoConfig, encoder: TrainedEncoder, index: GoIndex, known: RetrievalSet
) -> NeighborSource:
    """Puts the retrieval set on the device.

    Args:
      known: of that index, on the host; see `neighbor_inputs.retrieval_set`.
    """
    orientations, layer = config.retrieval.orientations, config.keys.layer
    return NeighborSource(orientations, layer, encoder, index, jax.device_put(known))
