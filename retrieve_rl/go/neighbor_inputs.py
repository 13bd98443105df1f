"""x_i: what the network is shown of a neighbor; pure, for use inside `jit`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Integer

from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.data import GoData
from retrieve_rl.go.planes import NEIGHBOR_PLANES, Outlooks, neighbor_planes
from retrieve_rl.go.points import SIZE
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.symmetries import PRODUCTS
from retrieve_rl.retrieval.fusion import closeness
from retrieve_rl.types import Array


class RetrievalSet(NamedTuple):
    """The positions that can be neighbors, row for row as the index holds them.

    Attributes:
      positions: N rows, packed.
      games: of all games of the store; a position's `games` is its row here.
    """

    positions: Positions
    games: Outlooks


class NeighborInputs(NamedTuple):
    """The x_i of N neighbors of each of B positions; zero everywhere where one is removed.

    Attributes:
      planes: `NEIGHBOR_PLANES`, in the orientation of the position that asks.
      closeness: exp(-squared distance / scale).
    """

    planes: Float[Array, "B N 9 9 C"]
    closeness: Float[Array, "B N"]


def retrieval_set(data: GoData) -> RetrievalSet:
    """The positions that can be neighbors, on the host."""
    games = data.store.games
    return RetrievalSet(
        data.store.positions.take(data.retrieval_rows),
        Outlooks(games.komi, games.outcomes, games.final_boards, games.owners),
    )


def neighbor_inputs(
    known: RetrievalSet,
    neighbors: TurnedNeighbors,
    symmetries: Integer[Array, " B"],
    distance_scale: Float[Array, ""] | float,
) -> NeighborInputs:
    """Looks up and unpacks the neighbors, each turned together with the position that asks.

    Args:
      neighbors: indices are rows of `known`; removed where they are -1.
      symmetries: what the positions that ask are turned by.
    """
    batch, count = neighbors.indices.shape
    present = (neighbors.indices >= 0).reshape(-1)
    rows = jnp.maximum(neighbors.indices, 0).reshape(-1)
    positions = jax.tree.map(lambda column: column[rows], known.positions)
    games = jax.tree.map(lambda column: column[positions.games], known.games)
    products: Array = jnp.asarray(PRODUCTS)
    turned = products[neighbors.symmetries, symmetries[:, None]].reshape(-1)
    planes = neighbor_planes(positions, games, turned, present)
    near = closeness(neighbors.distances, distance_scale)
    return NeighborInputs(
        planes.reshape(batch, count, *planes.shape[1:]),
        jnp.where(neighbors.indices >= 0, near, 0.0),
    )


def remove(neighbors: NeighborInputs, removed: Bool[Array, "B N"]) -> NeighborInputs:
    """x_i = 0 where `removed`: what no neighbor, a dropped one and the baseline have in common."""
    return NeighborInputs(
        jnp.where(removed[..., None, None, None], 0.0, neighbors.planes),
        jnp.where(removed, 0.0, neighbors.closeness),
    )


def no_neighbors(batch: int, num_neighbors: int) -> NeighborInputs:
    """x_i = 0 for all."""
    shape = (batch, num_neighbors)
    return NeighborInputs(jnp.zeros((*shape, SIZE, SIZE, len(NEIGHBOR_PLANES))), jnp.zeros(shape))


def none_found(batch: int, num_neighbors: int) -> TurnedNeighbors:
    """A search result without a neighbor."""
    shape = (batch, num_neighbors)
    return TurnedNeighbors(
        np.full(shape, -1, np.int32),
        np.full(shape, np.inf, np.float32),
        np.zeros(shape, np.int32),
    )
