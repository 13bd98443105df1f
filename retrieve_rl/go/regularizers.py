"""What training does to neighbors so that a policy does not trust them blindly.

The three regularizers of Humphreys et al. 2022: dropout, randomization and regularization; their
exact form is ours. The third is a term of the loss, see `policy_losses`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from retrieve_rl.go.neighbor_inputs import NeighborInputs, remove
from retrieve_rl.types import Array


def drop(neighbors: NeighborInputs, rate: float, rng_key: PRNGKeyArray) -> NeighborInputs:
    """Removes each neighbor with probability `rate`."""
    if rate == 0.0:
        return neighbors
    return remove(neighbors, jax.random.bernoulli(rng_key, rate, neighbors.closeness.shape))


def randomize(neighbors: NeighborInputs, rate: float, rng_key: PRNGKeyArray) -> NeighborInputs:
    """Gives each position, with probability `rate`, the neighbors of another one of the batch.

    Their distances come with them: they look as near as they were to the other position. They may
    be of the position's own game, if the other one is of the other half of the games ("hidden": of
    another game).
    """
    if rate == 0.0:
        return neighbors
    batch = len(neighbors.closeness)
    chosen_key, shift_key = jax.random.split(rng_key)
    chosen = jax.random.bernoulli(chosen_key, rate, (batch,))
    shift = jax.random.randint(shift_key, (batch,), 1, batch)
    own = jnp.arange(batch)
    source = jnp.where(chosen, (own + shift) % batch, own)
    return NeighborInputs(neighbors.planes[source], neighbors.closeness[source])


def pull(embedding: Float[Array, "B 9 9 S"], without: Float[Array, "B 9 9 S"]) -> Float[Array, ""]:
    """Mean squared distance to the embedding without neighbors, which itself is not pulled."""
    return jnp.mean((embedding - jax.lax.stop_gradient(without)) ** 2)
