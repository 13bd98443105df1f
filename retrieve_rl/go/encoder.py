"""The encoder: a network that predicts move and outcome without retrieval, and its features.

Humphreys et al. 2022, section 3.2: activations of such a network, projected by PCA, are the keys.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Integer

from retrieve_rl.go.config import EncoderConfig
from retrieve_rl.go.planes import OBSERVATION_PLANES, observation_planes
from retrieve_rl.go.points import NUM_MOVES, NUM_POINTS
from retrieve_rl.go.positions import Positions
from retrieve_rl.nn.resnet import ResNet
from retrieve_rl.training.state import Params
from retrieve_rl.types import Array

_BLOCK, _MOST_BLOCKS = 16, 64
"""Positions of a block: so few that on a CPU the patches of a layer stay in its cache."""


class Prediction(NamedTuple):
    """What the encoder says of B positions, as the player to move sees them.

    Attributes:
      logits: of the 82 moves.
      value: the expected outcome, -1 to 1.
      points: the last activations with a board, flattened.
      hidden: those of the whole board.
    """

    logits: Float[Array, "B 82"]
    value: Float[Array, " B"]
    points: Float[Array, "B P"]
    hidden: Float[Array, "B H"]

    @property
    def moves(self) -> Float[Array, "B 82"]:
        """Square roots of the moves' probabilities: squared distances are those of Hellinger, times
        two."""
        return jnp.sqrt(jax.nn.softmax(self.logits, axis=-1))


class Encoder(nnx.Module):
    """A residual trunk, a narrow layer a point, a hidden layer over the whole board, two heads.

    The policy is read from each point and from the whole board: from the hidden layer alone every
    point's move would have to be learned for itself, much slower.
    """

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs) -> None:
        self.trunk = ResNet(len(OBSERVATION_PLANES), config.channels, config.num_blocks, rngs=rngs)
        self.points = nnx.Linear(config.channels, config.head_channels, rngs=rngs)
        self.hidden = nnx.Linear(NUM_POINTS * config.head_channels, config.feature_width, rngs=rngs)
        # Its inputs are all positive: without a norm one step moves every unit by much, and most
        # were pushed below zero for good.
        self.hidden_norm = nnx.LayerNorm(config.feature_width, rngs=rngs)
        self.point_policy = nnx.Linear(config.head_channels, 1, use_bias=False, rngs=rngs)
        self.policy = nnx.Linear(config.feature_width, NUM_MOVES, rngs=rngs)
        self.value = nnx.Linear(config.feature_width, 1, rngs=rngs)

    def __call__(self, planes: Float[Array, "B 9 9 C"]) -> Prediction:
        trunk = self.trunk(planes)
        points = nnx.relu(self.points(trunk))
        flat = points.reshape(len(points), -1)
        hidden = nnx.relu(self.hidden_norm(self.hidden(flat)))
        of_points = self.point_policy(points).reshape(len(points), NUM_POINTS)
        return Prediction(
            logits=self.policy(hidden).at[:, :NUM_POINTS].add(of_points),
            value=jnp.tanh(self.value(hidden)[:, 0]),
            points=flat,
            hidden=hidden,
        )


class TrainedEncoder(NamedTuple):
    """An encoder split for pure functions, and what it was made from.

    Attributes:
      graphdef, params: of the `Encoder`.
      digest: names it in what is made from it.
    """

    graphdef: nnx.GraphDef
    params: Params
    digest: str


def new_encoder(config: EncoderConfig, seed: int) -> Encoder:
    """An untrained encoder, its parameters drawn by the seed."""
    return Encoder(config, rngs=nnx.Rngs(jax.random.fold_in(jax.random.key(seed), 0)))


@partial(jax.jit, static_argnames="graphdef")
def predict(
    graphdef: nnx.GraphDef,
    params: Params,
    positions: Positions,
    komi: Float[Array, " B"],
    symmetries: Integer[Array, " B"],
) -> Prediction:
    """What the encoder says of the positions, each turned by its symmetry; logits stay turned."""
    encoder: Encoder = nnx.merge(graphdef, params)
    return encoder(observation_planes(positions, komi, symmetries))


@partial(jax.jit, static_argnames="graphdef")
def _predict_blocks(
    graphdef: nnx.GraphDef,
    params: Params,
    positions: Positions,
    komi: Float[Array, " B"],
    symmetries: Integer[Array, " B"],
) -> Prediction:
    """`predict`, on a CPU block after block."""
    asked = (positions, komi, symmetries)
    if jax.default_backend() != "cpu":
        return predict(graphdef, params, *asked)
    blocks = jax.tree.map(lambda column: column.reshape(-1, _BLOCK, *column.shape[1:]), asked)
    told = jax.lax.map(lambda block: predict(graphdef, params, *block), blocks)
    return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:]), told)


def predictions(
    encoder: TrainedEncoder, positions: Positions, komi: Float[np.ndarray, " N"], symmetry: int = 0
) -> Iterator[Prediction]:
    """What the encoder says of host positions turned by a symmetry, chunk after chunk."""
    start, count = 0, positions.num_positions
    while start < count:
        # Few shapes, few compilations: the last chunk repeats its last row.
        blocks = min(_MOST_BLOCKS, 1 << (-(-(count - start) // _BLOCK) - 1).bit_length())
        chosen = np.arange(start, min(start + blocks * _BLOCK, count))
        rows = np.pad(chosen, (0, blocks * _BLOCK - len(chosen)), mode="edge")
        symmetries = np.full(len(rows), symmetry, np.int32)
        told = _predict_blocks(
            encoder.graphdef, encoder.params, positions.take(rows), komi[rows], symmetries
        )
        yield Prediction(*(np.asarray(part)[: len(chosen)] for part in told))
        start += len(chosen)


def features(
    encoder: TrainedEncoder,
    layer: str,
    positions: Positions,
    komi: Float[np.ndarray, " N"],
    symmetry: int = 0,
) -> Float[np.ndarray, "N F"]:
    """The activations of a layer, as `KeysConfig` names it, for at least one host position."""
    told = predictions(encoder, positions, komi, symmetry)
    return np.concatenate([getattr(one, layer) for one in told])
