"""Stage 1's autoencoder: it can learn, and a latent depends on its own triplet alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from retrieve_rl.reframe.amb import (
    Autoencoder,
    Triplet,
    autoencoder_loss,
    reconstruction_errors,
    sample_triplets,
    triplets_of,
)
from retrieve_rl.training.state import init_state, train_steps


@pytest.fixture
def autoencoder(tiny):
    config = tiny(memory={"latent_dim": 16, "width": 32}).memory
    return Autoencoder(config, 3, 2, rngs=nnx.Rngs(0))


@pytest.fixture
def triplets(make_table):
    return triplets_of(jax.device_put(make_table([32])))


def test_overfits_32_triplets(autoencoder, triplets):
    graphdef, params = nnx.split(autoencoder)
    optimizer = optax.adam(3e-3)
    run = jax.jit(
        partial(
            train_steps,
            num_steps=1500,
            sample_fn=lambda key: triplets,
            loss_fn=partial(autoencoder_loss, graphdef),
            optimizer=optimizer,
        )
    )
    state, _ = run(init_state(params, optimizer), jax.random.key(0))
    errors = reconstruction_errors(nnx.merge(graphdef, state.params), triplets)
    assert set(errors) == {"return_to_go", "observation", "action"}
    assert all(float(error) < 2e-3 for error in errors.values())


def test_a_latent_depends_on_its_triplet_alone(autoencoder, triplets):
    together = autoencoder.encode(triplets)
    order = np.random.default_rng(0).permutation(32)
    shuffled = autoencoder.encode(Triplet(*(part[order] for part in triplets)))
    np.testing.assert_allclose(shuffled, together[order], rtol=1e-5, atol=1e-6)
    few = autoencoder.encode(Triplet(*(part[:5] for part in triplets)))
    np.testing.assert_allclose(few, together[:5], rtol=1e-5, atol=1e-6)
    gradient = jax.jacrev(lambda x: autoencoder.encode(triplets._replace(observations=x))[0])(
        triplets.observations
    )
    assert np.any(gradient[:, 0]) and not np.any(gradient[:, 1:])


@pytest.mark.parametrize("part", Triplet._fields)
def test_every_modality_enters_the_latent_and_has_its_error(autoencoder, triplets, part):
    changed = triplets._replace(**{part: getattr(triplets, part) + 0.5})
    assert not np.allclose(autoencoder.encode(changed), autoencoder.encode(triplets))
    latents = autoencoder.encode(triplets)
    decoded = autoencoder.decode(latents)
    assert getattr(decoded, part).shape == getattr(triplets, part).shape


def test_a_query_knows_the_state_and_not_the_action(autoencoder, triplets):
    queries = autoencoder.encode_state(triplets.returns_to_go, triplets.observations)
    assert queries.shape == autoencoder.encode(triplets).shape
    # What the action adds to the latent does not depend on the state: the projection is linear.
    moved = triplets._replace(observations=triplets.observations[::-1])
    moved_queries = autoencoder.encode_state(moved.returns_to_go, moved.observations)
    np.testing.assert_allclose(
        autoencoder.encode(triplets) - queries,
        autoencoder.encode(moved) - moved_queries,
        rtol=1e-4,
        atol=1e-5,
    )


def test_errors_are_means_of_squares(autoencoder, triplets):
    errors = reconstruction_errors(autoencoder, triplets)
    decoded = autoencoder.decode(autoencoder.encode(triplets))
    expected = np.mean((np.asarray(decoded.actions) - np.asarray(triplets.actions)) ** 2)
    np.testing.assert_allclose(errors["action"], expected, rtol=1e-5)
    graphdef, params = nnx.split(autoencoder)
    loss, metrics = autoencoder_loss(graphdef, params, triplets, jax.random.key(0))
    np.testing.assert_allclose(loss, sum(metrics.values()), rtol=1e-5)


def test_sampled_triplets_stay_together(make_table):
    table = jax.device_put(make_table([40]))
    sampled = sample_triplets(table, 64, jax.random.key(0))
    for number in range(64):
        row = int(jnp.argmin(jnp.abs(table.returns_to_go - sampled.returns_to_go[number])))
        np.testing.assert_array_equal(sampled.actions[number], table.actions[row])
        np.testing.assert_array_equal(sampled.observations[number], table.observations[row])
