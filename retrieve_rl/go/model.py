"""The semi-parametric model (Humphreys et al. 2022): a position and its neighbors, unrolled.

`represent`, `dynamics` and `predict` are pure functions of the parameters, for losses and searches.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Integer

from retrieve_rl.go.neighbor_inputs import NeighborInputs
from retrieve_rl.go.planes import NEIGHBOR_PLANES, OBSERVATION_PLANES
from retrieve_rl.go.points import NUM_MOVES, NUM_POINTS, PASS, SIZE
from retrieve_rl.go.policy_config import ModelConfig, RetrievalConfig
from retrieve_rl.nn.resnet import BoardConv, ResidualBlock, ResNet
from retrieve_rl.retrieval.fusion import AttentionFusion, DistanceGate, scaled_sum
from retrieve_rl.training.state import Params
from retrieve_rl.types import Array

Embedding = Float[Array, "B 9 9 S"]
_ACTION_PLANES = 2


class PolicyValue(NamedTuple):
    """What the model says of B positions, as the player to move in each sees them.

    Attributes:
      logits: of the 82 moves; nothing is said of their legality.
      value: the expected outcome, -1 to 1.
    """

    logits: Float[Array, "B 82"]
    value: Float[Array, " B"]


class NeighborEncoder(nnx.Module):
    """e_i = p(o^e, x_i), one network for every neighbor."""

    def __init__(self, planes: int, query: int, width: int, blocks: int, *, rngs: nnx.Rngs) -> None:
        self.of_neighbor = BoardConv(planes, width, rngs=rngs)
        self.of_query = BoardConv(query, width, rngs=rngs)
        self.blocks = nnx.List([ResidualBlock(width, rngs=rngs) for _ in range(blocks)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)

    def __call__(
        self, query: Float[Array, "B 9 9 C"], neighbors: Float[Array, "B N 9 9 P"]
    ) -> Float[Array, "B N 9 9 H"]:
        batch, count = neighbors.shape[:2]
        # A convolution of both at once is the sum of two, and the query's is needed only once.
        x = self.of_neighbor(neighbors.reshape(batch * count, *neighbors.shape[2:]))
        x = x.reshape(batch, count, *x.shape[1:]) + self.of_query(query)[:, None]
        x = x.reshape(batch * count, *x.shape[2:])
        for block in self.blocks:
            x = block(x)
        x = nnx.relu(self.norm(x))
        return x.reshape(batch, count, *x.shape[1:])


class StateNorm(nnx.Module):
    """A norm over each half of a state, then ReLU.

    Not over both at once: the sum of the neighbors grows with their number as far as they are
    alike, and would drown the observation.
    """

    def __init__(self, width: int, encoded: int, *, rngs: nnx.Rngs) -> None:
        self.observation = nnx.LayerNorm(width, rngs=rngs)
        self.neighbors = nnx.LayerNorm(encoded, rngs=rngs)

    def __call__(self, state: Embedding) -> Embedding:
        observation, neighbors = jnp.split(state, [self.observation.num_features], axis=-1)
        halves = [self.observation(observation), self.neighbors(neighbors)]
        return nnx.relu(jnp.concatenate(halves, axis=-1))


class Dynamics(nnx.Module):
    """s^{k+1} = h(s^k, a), as a change of s^k."""

    def __init__(self, width: int, encoded: int, blocks: int, *, rngs: nnx.Rngs) -> None:
        state = width + encoded
        self.state_norm = StateNorm(width, encoded, rngs=rngs)
        self.body = ResNet(state + _ACTION_PLANES, width, blocks, rngs=rngs)
        self.change = BoardConv(width, state, rngs=rngs)

    def __call__(self, state: Embedding, moves: Integer[Array, " B"]) -> Embedding:
        seen = jnp.concatenate([self.state_norm(state), _move_planes(moves)], axis=-1)
        return state + self.change(self.body(seen))


class Heads(nnx.Module):
    """Policy and value of a state; the policy is read from each point and from the whole board."""

    def __init__(
        self, width: int, encoded: int, channels: int, hidden: int, *, rngs: nnx.Rngs
    ) -> None:
        self.state_norm = StateNorm(width, encoded, rngs=rngs)
        self.points = nnx.Linear(width + encoded, channels, rngs=rngs)
        self.hidden = nnx.Linear(NUM_POINTS * channels, hidden, rngs=rngs)
        self.hidden_norm = nnx.LayerNorm(hidden, rngs=rngs)  # see Encoder
        self.point_policy = nnx.Linear(channels, 1, use_bias=False, rngs=rngs)
        self.policy = nnx.Linear(hidden, NUM_MOVES, rngs=rngs)
        self.value = nnx.Linear(hidden, 1, rngs=rngs)

    def __call__(self, state: Embedding) -> PolicyValue:
        points = nnx.relu(self.points(self.state_norm(state)))
        hidden = nnx.relu(self.hidden_norm(self.hidden(points.reshape(len(points), -1))))
        of_points = self.point_policy(points).reshape(len(points), NUM_POINTS)
        logits = self.policy(hidden).at[:, :NUM_POINTS].add(of_points)
        return PolicyValue(logits, jnp.tanh(self.value(hidden)[:, 0]))


class RetrievalModel(nnx.Module):
    """The networks of one policy; those of the baseline are the same."""

    def __init__(self, config: ModelConfig, retrieval: RetrievalConfig, *, rngs: nnx.Rngs) -> None:
        width, encoded = config.scaled(config.channels), config.scaled(config.neighbor_channels)
        planes = len(NEIGHBOR_PLANES) + retrieval.distance_input
        head, hidden = config.scaled(config.head_channels), config.scaled(config.feature_width)
        self.distance_input = retrieval.distance_input
        self.observation = ResNet(
            len(OBSERVATION_PLANES), width, config.observation_blocks, rngs=rngs
        )
        self.neighbor = NeighborEncoder(planes, width, encoded, config.neighbor_blocks, rngs=rngs)
        if retrieval.fusion == "attention":
            self.attention = AttentionFusion(width, encoded, rngs=rngs)
        elif retrieval.fusion == "gate":
            self.gate = DistanceGate()
        self.transition = Dynamics(width, encoded, config.dynamics_blocks, rngs=rngs)
        self.heads = Heads(width, encoded, head, hidden, rngs=rngs)

    def represent(
        self, observation: Float[Array, "B 9 9 C"], neighbors: NeighborInputs
    ) -> Embedding:
        """s^0 = [o^e, fused e_i]."""
        query = self.observation(observation)
        planes = neighbors.planes
        if self.distance_input:
            near = jnp.broadcast_to(
                neighbors.closeness[..., None, None, None], (*planes.shape[:-1], 1)
            )
            planes = jnp.concatenate([planes, near], axis=-1)
        fused = self._fuse(query, self.neighbor(query, planes), neighbors.closeness)
        return jnp.concatenate([query, fused], axis=-1)

    def _fuse(
        self,
        query: Float[Array, "B 9 9 C"],
        encoded: Float[Array, "B N 9 9 H"],
        closeness: Float[Array, "B N"],
    ) -> Float[Array, "B 9 9 H"]:
        if hasattr(self, "attention"):
            at_points = jnp.moveaxis(encoded, 1, 3)  # each point attends for itself
            near = jnp.broadcast_to(closeness[:, None, None], at_points.shape[:-1])
            return self.attention(query, at_points, near)
        flat = encoded.reshape(*encoded.shape[:2], -1)
        fused = self.gate(flat, closeness) if hasattr(self, "gate") else scaled_sum(flat)
        return fused.reshape(len(encoded), SIZE, SIZE, -1)


def represent(
    graphdef: nnx.GraphDef,
    params: Params,
    observation: Float[Array, "B 9 9 C"],
    neighbors: NeighborInputs,
) -> Embedding:
    """The embedding of positions and their neighbors.

    Args:
      observation: `OBSERVATION_PLANES`.
      neighbors: in the orientation of the observation; any number of them.
    """
    model: RetrievalModel = nnx.merge(graphdef, params)
    return model.represent(observation, neighbors)


def dynamics(
    graphdef: nnx.GraphDef, params: Params, embedding: Embedding, moves: Integer[Array, " B"]
) -> Embedding:
    """The embedding after a move, a point or PASS, as the other player sees it."""
    model: RetrievalModel = nnx.merge(graphdef, params)
    return model.transition(embedding, moves)


def predict(graphdef: nnx.GraphDef, params: Params, embedding: Embedding) -> PolicyValue:
    """Policy and value of an embedding."""
    model: RetrievalModel = nnx.merge(graphdef, params)
    return model.heads(embedding)


def new_model(config: ModelConfig, retrieval: RetrievalConfig, seed: int) -> RetrievalModel:
    """An untrained model, its parameters drawn by the seed."""
    rngs = nnx.Rngs(jax.random.fold_in(jax.random.key(seed), 2))
    return RetrievalModel(config, retrieval, rngs=rngs)


def count_parameters(params: Params) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _move_planes(moves: Integer[Array, " B"]) -> Float[Array, "B 9 9 2"]:
    """The point played, and ones for a pass; zeros for NO_MOVE."""
    points = (moves[:, None] == jnp.arange(NUM_POINTS)).reshape(-1, SIZE, SIZE, 1)
    passes = jnp.broadcast_to((moves == PASS)[:, None, None, None], points.shape)
    return jnp.concatenate([points, passes], axis=-1).astype(jnp.float32)
