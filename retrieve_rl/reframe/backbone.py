"""The policies that a memory can be plugged into, and the small interface it knows them by."""

import importlib
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float

from retrieve_rl.errors import UsageError
from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.nn.mlp import Mlp
from retrieve_rl.nn.transformer import Transformer
from retrieve_rl.reframe.config import ReframeConfig
from retrieve_rl.reframe.own_backbone import SHIPPED, names_of
from retrieve_rl.reframe.windows import Window
from retrieve_rl.types import Array


class BackboneOutput(NamedTuple):
    """What a backbone says at every step of a window.

    Attributes:
      actions: the backbone's own action, in [-1, 1].
      features: what it knows at that step, read by the query and the correction; it must not
        depend on the step's own action or on anything later.
    """

    actions: Float[Array, "B T A"]
    features: Float[Array, "B T H"]


@runtime_checkable
class Backbone(Protocol):
    """Any policy over windows. A class is made as
    `Class(config, observation_dim, action_dim, rngs=rngs)` and is a `flax.nnx.Module`."""

    feature_dim: int

    def __call__(self, window: Window, dropout: DropoutStream) -> BackboneOutput: ...


@runtime_checkable
class ActingBackbone(Backbone, Protocol):
    """A backbone that need not compute every step of a window in order to act."""

    def last_step(self, window: Window) -> BackboneOutput:
        """What the call says of the last step, without dropout: arrays [B, 1, ...]."""
        ...


def last_step(backbone: Backbone, window: Window) -> BackboneOutput:
    """What a backbone says of the last step of each window, without dropout: [B, 1, ...]."""
    if isinstance(backbone, ActingBackbone):
        return backbone.last_step(window)
    return BackboneOutput(*(part[:, -1:] for part in backbone(window, DropoutStream(None))))


_OBSERVATION_TOKENS, _LAST_OBSERVATION_TOKEN = slice(1, None, 3), slice(-2, -1)


class DecisionTransformer(nnx.Module):
    """Chen et al. 2021: a causal transformer over (return-to-go, observation, action) tokens.

    The time step's embedding is added to all three tokens of a step, the embeddings pass a
    LayerNorm, and the action is a tanh of a linear map of the observation token.
    """

    def __init__(
        self, config: ReframeConfig, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None:
        width = config.transformer.width
        self.feature_dim = width
        self.dropout = config.transformer.dropout
        self.embed_return = nnx.Linear(1, width, rngs=rngs)
        self.embed_observation = nnx.Linear(observation_dim, width, rngs=rngs)
        self.embed_action = nnx.Linear(action_dim, width, rngs=rngs)
        self.embed_timestep = nnx.Embed(config.env.max_steps, width, rngs=rngs)
        self.embedding_norm = nnx.LayerNorm(width, rngs=rngs)
        self.transformer = Transformer(
            width,
            num_layers=config.transformer.num_layers,
            num_heads=config.transformer.num_heads,
            dropout=config.transformer.dropout,
            rngs=rngs,
        )
        self.action_head = nnx.Linear(width, action_dim, rngs=rngs)

    def __call__(self, window: Window, dropout: DropoutStream) -> BackboneOutput:
        return self._read_at(_OBSERVATION_TOKENS, window, dropout)

    def last_step(self, window: Window) -> BackboneOutput:
        return self._read_at(_LAST_OBSERVATION_TOKEN, window, DropoutStream(None))

    def _read_at(self, tokens: slice, window: Window, dropout: DropoutStream) -> BackboneOutput:
        embedded = dropout(self.embedding_norm(self._tokens(window)), self.dropout)
        features = self.transformer(embedded, _attend(window.mask), dropout, tokens)
        return BackboneOutput(jnp.tanh(self.action_head(features)), features)

    def _tokens(self, window: Window) -> Float[Array, "B 3*T H"]:
        parts = jnp.stack(
            [
                self.embed_return(window.returns_to_go[..., None]),
                self.embed_observation(window.observations),
                self.embed_action(window.actions),
            ],
            axis=2,
        )  # [B, T, 3, H]
        parts = parts + self.embed_timestep(window.timesteps)[:, :, None]
        return parts.reshape(parts.shape[0], -1, parts.shape[-1])


class MlpBackbone(nnx.Module):
    """Behavior cloning: each step's action from its observation alone."""

    def __init__(
        self, config: ReframeConfig, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None:
        width = config.mlp.width
        self.feature_dim = width
        self.body = Mlp((observation_dim, *[width] * config.mlp.num_layers), rngs=rngs)
        self.action_head = nnx.Linear(width, action_dim, rngs=rngs)

    def __call__(self, window: Window, dropout: DropoutStream) -> BackboneOutput:
        features = nnx.relu(self.body(window.observations))
        return BackboneOutput(jnp.tanh(self.action_head(features)), features)

    def last_step(self, window: Window) -> BackboneOutput:
        return self(Window(*(part[:, -1:] for part in window)), DropoutStream(None))


def make_backbone(
    config: ReframeConfig, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
) -> Backbone:
    """The backbone that `config.backbone` names. Raises UsageError as `backbone_class`."""
    return backbone_class(config.backbone)(config, observation_dim, action_dim, rngs=rngs)


def backbone_class(name: str) -> type:
    """The class that `config.backbone` names. Raises UsageError if it cannot be imported."""
    if name in SHIPPED:
        return {"dt": DecisionTransformer, "mlp": MlpBackbone}[name]
    module_name, class_name = names_of(name)
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"backbone {name!r} cannot be imported: {error}") from None
    if not (isinstance(found, type) and issubclass(found, nnx.Module)):
        raise UsageError(f"backbone {name!r} is no class of flax.nnx.Module")
    return found


def _attend(mask: Bool[Array, "B T"]) -> Bool[Array, "B L L"]:
    """Which of the 3T tokens each may attend to: itself and earlier ones that are not padding."""
    token_mask = jnp.repeat(mask, 3, axis=1)  # [B, L]
    length = token_mask.shape[1]
    causal = jnp.tril(jnp.ones((length, length), bool))
    # A padded token attends to itself, so its row is never empty.
    return causal & (token_mask[:, None, :] | jnp.eye(length, dtype=bool))
