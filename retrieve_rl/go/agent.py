"""A trained policy as a player of many games: neighbors at the root, then a search."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int
from pydantic import Field

from retrieve_rl.config import Strict
from retrieve_rl.errors import UsageError
from retrieve_rl.go.allowed_moves import allowed_moves
from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.choices import NeighborKind
from retrieve_rl.go.model import Embedding, PolicyValue, dynamics, predict, represent
from retrieve_rl.go.neighbor_inputs import (
    RetrievalSet,
    neighbor_inputs,
    no_neighbors,
    none_found,
)
from retrieve_rl.go.neighbor_source import NeighborSource
from retrieve_rl.go.planes import observation_planes
from retrieve_rl.go.points import NO_MOVE, pack_boards, vertex_of
from retrieve_rl.go.policy import TrainedPolicy
from retrieve_rl.go.positions import NUM_NEXT_MOVES, Positions
from retrieve_rl.go.referee import GameState
from retrieve_rl.go.search import Found, SearchConfig, search
from retrieve_rl.retrieval.neighbors import NO_GROUP
from retrieve_rl.training.state import Params
from retrieve_rl.types import Array

BATCH_SIZES = (1, 4, 8, 16, 24, 32)
"""Games are padded to one of these, each compiled once; more go one batch after another."""
_MOST = BATCH_SIZES[-1]


class AgentConfig(Strict):
    """How a trained policy plays."""

    search: SearchConfig = SearchConfig()
    neighbors: NeighborKind = "nearest"
    """Which neighbors the root hears of; none: x_i = 0."""
    num_neighbors: int = Field(10, ge=1)


class Question(NamedTuple):
    """Positions as the network and the search take them, on the host.

    Attributes:
      allowed: see `allowed_moves`.
    """

    positions: Positions
    komi: Float[Array, " B"]
    neighbors: TurnedNeighbors
    allowed: Bool[Array, "B 82"]


class Decision(NamedTuple):
    """What an agent decided in some positions, on the host.

    Attributes:
      found: by the search.
      neighbors: that the roots heard of; rows of the index.
    """

    found: Found
    neighbors: TurnedNeighbors


class Agent:
    """Plays as `Player` asks; never resigns.

    The same positions, in the same batch, get the same moves.

    Attributes:
      name: tells agents that play differently apart.
      heard: the neighbors of the last position it was asked about, for each game that goes on.
    """

    def __init__(
        self,
        policy: TrainedPolicy,
        source: NeighborSource | None,
        config: AgentConfig,
        *,
        name: str,
    ) -> None:
        """Args: source: None for a policy that hears of no neighbors.

        Raises:
          UsageError: neighbors are asked for, and there is no source.
        """
        if source is None and config.neighbors != "none":
            raise UsageError(
                f"{config.neighbors} neighbors are asked for, and this policy was trained without"
            )
        self.name, self.policy, self.source, self.config = name, policy, source, config
        self.heard: dict[int, TurnedNeighbors] = {}

    def moves(self, states: Sequence[GameState]) -> list[str]:
        """As `Player.moves`."""
        decision = self.decide(states)
        for row, state in enumerate(states):
            self.heard[state.game] = _rows_of(decision.neighbors, slice(row, row + 1))
        return [vertex_of(int(move)) for move in decision.found.moves]

    def ended(self, states: Sequence[GameState]) -> list[str | None]:
        """As `Player.ended`: it does not count."""
        for state in states:
            self.heard.pop(state.game, None)
        return [None for _ in states]

    def decide(self, states: Sequence[GameState]) -> Decision:
        """Moves in at least one position, and what led to them."""
        parts = []
        for start in range(0, len(states), _MOST):
            chosen = states[start : start + _MOST]
            size = next(size for size in BATCH_SIZES if size >= len(chosen))
            padded = [*chosen, *[chosen[-1]] * (size - len(chosen))]
            question = self.ask(padded)
            found = jax.tree.map(np.asarray, self.answer(question))
            parts.append(_rows_of(Decision(found, question.neighbors), slice(len(chosen))))
        return jax.tree.map(lambda *columns: np.concatenate(columns), *parts)

    def ask(self, states: Sequence[GameState]) -> Question:
        """The positions with their neighbors."""
        positions = positions_of_states(states)
        komi = np.array([state.komi for state in states], np.float32)
        neighbors = self.retrieve(states, positions, komi)
        return Question(positions, komi, neighbors, allowed_moves(states))

    def retrieve(
        self, states: Sequence[GameState], positions: Positions, komi: Float[np.ndarray, " B"]
    ) -> TurnedNeighbors:
        """The neighbors that the roots hear of.

        Args:
          positions: of the states.
        """
        count = self.config.num_neighbors
        if self.source is None or self.config.neighbors == "none":
            return none_found(len(states), count)
        if self.config.neighbors == "nearest":
            return self.source.nearest(positions, komi, count)
        seeds = [(state.seed, state.game, len(state.moves)) for state in states]
        return self.source.random(positions, komi, count, seeds)

    def answer(self, question: Question) -> Found:
        """What network and search say, on the device; one compilation for every B."""
        return _answer(
            self.policy.graphdef,
            self.config.search,
            self.policy.params,
            self.known,
            self.policy.distance_scale,
            question,
        )

    @property
    def known(self) -> RetrievalSet | None:
        """What neighbors are looked up in; None where there are none."""
        heard = self.source is not None and self.config.neighbors != "none"
        return self.source.known if self.source is not None and heard else None


def positions_of_states(states: Sequence[GameState]) -> Positions:
    """Positions in play as rows; what follows and the game are unknown."""
    count = len(states)
    last = [state.moves[-1] if state.moves else NO_MOVE for state in states]
    return Positions(
        boards=pack_boards(np.stack([state.stones for state in states])),
        to_move=np.array([state.to_move for state in states], np.uint8),
        ko=np.array([state.ko for state in states], np.uint8),
        last_moves=np.array(last, np.uint8),
        plies=np.array([len(state.moves) for state in states], np.uint16),
        games=np.full(count, NO_GROUP, np.int32),
        next_moves=np.full((count, NUM_NEXT_MOVES), NO_MOVE, np.uint8),
    )


def embed(
    graphdef: nnx.GraphDef,
    params: Params,
    known: RetrievalSet | None,
    distance_scale: Float[Array, ""] | float,
    question: Question,
) -> Embedding:
    """The embedding of the roots; pure."""
    as_played = jnp.zeros(question.komi.shape, int)
    observation = observation_planes(question.positions, question.komi, as_played)
    if known is None:
        neighbors = no_neighbors(*question.neighbors.indices.shape)
    else:
        neighbors = neighbor_inputs(known, question.neighbors, as_played, distance_scale)
    return represent(graphdef, params, observation, neighbors)


def step(
    graphdef: nnx.GraphDef, params: Params, embedding: Embedding, moves: Int[Array, " B"]
) -> tuple[Embedding, PolicyValue]:
    """One imagined move; pure. No neighbors: they enter at the root only."""
    embedding = dynamics(graphdef, params, embedding, moves)
    return embedding, predict(graphdef, params, embedding)


@partial(jax.jit, static_argnames=("graphdef", "config"))
def _answer(
    graphdef: nnx.GraphDef,
    config: SearchConfig,
    params: Params,
    known: RetrievalSet | None,
    distance_scale: Float[Array, ""] | float,
    question: Question,
) -> Found:
    embedding = embed(graphdef, params, known, distance_scale, question)
    estimate = predict(graphdef, params, embedding)
    allowed: Array = jnp.asarray(question.allowed)
    return search(partial(step, graphdef), params, embedding, estimate, allowed, config)


def _rows_of(table: Array, rows: slice) -> Array:
    return jax.tree.map(lambda column: column[rows], table)
