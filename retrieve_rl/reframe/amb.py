"""Stage 1: an autoencoder of expert steps and the associative memory buffer (AMB) it fills.

From the paper: one encoder per modality of (return-to-go, observation, action), their outputs
concatenated and projected linearly to the stored latent, a decoder for each modality. The paper
leaves open the layer sizes, the latent's width and the loss; here each network has one hidden layer
and the loss is the sum of the three mean squared errors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int, PRNGKeyArray

from retrieve_rl.nn.mlp import Mlp
from retrieve_rl.reframe.config import MemoryConfig
from retrieve_rl.reframe.windows import StepTable
from retrieve_rl.training.state import Metrics, Params
from retrieve_rl.types import Array


class Triplet(NamedTuple):
    """One expert step, or many: scaled return-to-go, standardized observation, action."""

    returns_to_go: Float[Array, "*B"]
    observations: Float[Array, "*B O"]
    actions: Float[Array, "*B A"]


class Autoencoder(nnx.Module):
    """Encodes triplets to latents and decodes latents to triplets."""

    def __init__(
        self, config: MemoryConfig, observation_dim: int, action_dim: int, *, rngs: nnx.Rngs
    ) -> None:
        width, latent = config.width, config.latent_dim
        self.encode_return = Mlp((1, width, width), rngs=rngs)
        self.encode_observation = Mlp((observation_dim, width, width), rngs=rngs)
        self.encode_action = Mlp((action_dim, width, width), rngs=rngs)
        self.project = nnx.Linear(3 * width, latent, rngs=rngs)
        self.decode_return = Mlp((latent, width, 1), rngs=rngs)
        self.decode_observation = Mlp((latent, width, observation_dim), rngs=rngs)
        self.decode_action = Mlp((latent, width, action_dim), rngs=rngs)

    def encode(self, triplet: Triplet) -> Float[Array, "*B D"]:
        """The stored latent of a whole triplet."""
        return self._project(triplet, self.encode_action(triplet.actions))

    def encode_state(
        self, returns_to_go: Float[Array, "*B"], observations: Float[Array, "*B O"]
    ) -> Float[Array, "*B D"]:
        """A query from what is known before acting.

        Ours: the paper says that the query is made from the current state and not how. The missing
        action's encoding is zero, so the query is the latent's part that the state determines.
        """
        triplet = Triplet(returns_to_go, observations, jnp.zeros(()))
        return self._project(triplet, jnp.zeros((*returns_to_go.shape, self._width)))

    def decode(self, latents: Float[Array, "*B D"]) -> Triplet:
        return Triplet(
            self.decode_return(latents)[..., 0],
            self.decode_observation(latents),
            self.decode_action(latents),
        )

    @property
    def _width(self) -> int:
        return self.project.in_features // 3

    def _project(self, triplet: Triplet, encoded_action: Array) -> Float[Array, "*B D"]:
        encoded = (
            self.encode_return(triplet.returns_to_go[..., None]),
            self.encode_observation(triplet.observations),
            encoded_action,
        )
        return self.project(jnp.concatenate(encoded, axis=-1))


class AssociativeMemoryBuffer(NamedTuple):
    """The frozen memory of every expert step.

    Attributes:
      keys: latents, or standardized observations where the query is one.
      actions: each latent's decoded action, or the recorded one.
      trajectories: which drawn episode a row comes from, counted from 0.
      timesteps: its time step there.
      center: mean of the rows' observations, per dimension.
      spread: their standard deviation; with `center` the expert's own standardization.
      distance_scale: median squared distance of a query at an expert step to its nearest key from
        another episode, or, of one episode, from another tenth of it; distances are read relative
        to it.
    """

    keys: Float[Array, "N D"]
    actions: Float[Array, "N A"]
    trajectories: Int[Array, " N"]
    timesteps: Int[Array, " N"]
    center: Float[Array, " O"]
    spread: Float[Array, " O"]
    distance_scale: Float[Array, ""]

    @property
    def num_rows(self) -> int:
        return self.keys.shape[0]


def triplets_of(table: StepTable) -> Triplet:
    return Triplet(table.returns_to_go, table.observations, table.actions)


def reconstruction_errors(autoencoder: Autoencoder, triplet: Triplet) -> Metrics:
    """Mean squared error of each modality, in the standardized and scaled units of the input."""
    decoded = autoencoder.decode(autoencoder.encode(triplet))
    return {
        "return_to_go": jnp.mean((decoded.returns_to_go - triplet.returns_to_go) ** 2),
        "observation": jnp.mean((decoded.observations - triplet.observations) ** 2),
        "action": jnp.mean((decoded.actions - triplet.actions) ** 2),
    }


def autoencoder_loss(
    graphdef: nnx.GraphDef, params: Params, batch: Triplet, rng_key: PRNGKeyArray
) -> tuple[Float[Array, ""], Metrics]:
    """Sum of the three reconstruction errors."""
    del rng_key  # nothing here is random
    errors = reconstruction_errors(nnx.merge(graphdef, params), batch)
    return jnp.sum(jnp.stack(list(errors.values()))), errors


def sample_triplets(table: StepTable, batch_size: int, rng_key: PRNGKeyArray) -> Triplet:
    rows = jax.random.randint(rng_key, (batch_size,), 0, table.num_steps)
    return Triplet(*(column[rows] for column in triplets_of(table)))
