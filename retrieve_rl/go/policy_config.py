"""The sections of a Go config that train and judge a policy; no index depends on them.

Humphreys et al. 2022 names the parts; every number here is ours.
"""

import math
from typing import Literal

from pydantic import Field

from retrieve_rl.config import Strict
from retrieve_rl.go.positions import NUM_NEXT_MOVES


class ModelConfig(Strict):
    """The networks and how far they are unrolled."""

    channels: int = Field(48, ge=1)
    """Of the observation's embedding, and inside the dynamics."""
    neighbor_channels: int = Field(32, ge=1)
    """Of an encoded neighbor."""
    observation_blocks: int = Field(4, ge=0)
    neighbor_blocks: int = Field(1, ge=0)
    dynamics_blocks: int = Field(1, ge=0)
    head_channels: int = Field(8, ge=1)
    feature_width: int = Field(128, ge=1)
    relative_size: float = Field(1.0, gt=0.0)
    """Scales the parameters of all networks, about: widths grow with its square root."""
    unroll_steps: int = Field(5, ge=0, lt=NUM_NEXT_MOVES)
    """K: moves that the dynamics are unrolled over in training."""

    def scaled(self, width: int) -> int:
        """A width at the relative size."""
        return max(1, round(width * math.sqrt(self.relative_size)))


class RetrievalConfig(Strict):
    """Which neighbors a position hears of, and how they enter the network."""

    source: Literal["nearest", "none"] = "nearest"
    """none: the baseline, the same network with x_i = 0."""
    num_neighbors: int = Field(10, ge=1)
    """N; 2 and 10 are plotted in the paper."""
    orientations: Literal[1, 8] = 1
    """In how many orientations a position asks, in training and at play: as it was played, or in
    all of them, of whose answers the nearest are merged (ours)."""
    own_game: Literal["other_half", "hidden"] = "other_half"
    """What keeps a training position from its own game: it asks the half of the games that does
    not hold it (the paper), or all, with its own game hidden (ours)."""
    distance_input: bool = False
    """Whether exp(-distance / scale) is one more plane of a neighbor (ours)."""
    fusion: Literal["sum", "attention", "gate"] = "sum"
    """The sum over sqrt(N) of the paper, or ours, see `retrieval.fusion`."""
    dropout: float = Field(0.0, ge=0.0, le=1.0)
    """Share of neighbors removed in training, each for itself."""
    randomization: float = Field(0.1, ge=0.0, le=1.0)
    """Share of training positions that get the neighbors of another one."""
    regularization: float = Field(0.0, ge=0.0)
    """Weight of the squared distance to the embedding without neighbors."""


class TrainConfig(Strict):
    """The policy's budget and optimizer."""

    steps: int = Field(4000, ge=1)
    """About half an hour on two cores, by 0.85 processor seconds a step."""
    batch_size: int = Field(64, ge=2)
    value_weight: float = Field(0.5, ge=0.0)
    learning_rate: float = Field(2e-3, gt=0.0)
    weight_decay: float = Field(1e-4, ge=0.0)
    warmup_fraction: float = Field(0.05, ge=0.0, le=1.0)
    clip_norm: float = Field(1.0, gt=0.0)
    checkpoint_every: int = Field(250, ge=1)


class HeldOutConfig(Strict):
    """What a policy is judged on: positions of test games."""

    positions: int = Field(4000, ge=1)
    """Drawn by the seed; all of them where there are fewer."""
    num_neighbors: tuple[int, ...] = (1, 2, 4, 10, 20)
    """Numbers of neighbors to judge it with, beside its own."""
    fractions: tuple[float, ...] = (1.0, 0.5, 0.1, 0.01)
    """Shares of the training games to search; a smaller one is part of a larger one."""
