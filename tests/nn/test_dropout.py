"""Dropout without a generator: its rate, its mean, and no two masks alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.nn.dropout import DropoutStream

ONES = jnp.ones((64, 512))


def mask(stream, rate=0.5):
    return np.asarray(stream(ONES, rate)) != 0


def stream(seed=0):
    return DropoutStream(jax.random.key(seed))


def agreement(first, second):
    """Correlation of two masks; 0 for independent ones."""
    return abs(np.corrcoef(first.ravel(), second.ravel())[0, 1])


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_rate_and_mean(rate):
    uses = stream()
    dropped = np.stack([np.asarray(uses(ONES, rate)) for _ in range(8)])
    deviation = np.sqrt(rate * (1 - rate) / dropped.size)
    assert np.mean(dropped == 0) == pytest.approx(rate, abs=5 * deviation)
    assert dropped.mean() == pytest.approx(1.0, abs=5 * deviation / (1 - rate))
    np.testing.assert_allclose(np.unique(dropped), [0.0, 1 / (1 - rate)], rtol=1e-6)


def test_every_position_is_dropped_at_the_same_rate():
    uses = jax.jit(jax.vmap(lambda key: DropoutStream(key)(jnp.ones((16, 16)), 0.3)))
    kept = np.asarray(uses(jax.random.split(jax.random.key(1), 2000))) != 0
    deviation = np.sqrt(0.21 / 2000)
    assert np.abs(kept.mean(axis=0) - 0.7).max() < 5 * deviation


def test_masks_of_uses_keys_and_neighbors_are_unrelated():
    uses = stream()
    first, second = mask(uses), mask(uses)
    assert agreement(first, second) < 0.03
    assert agreement(first, mask(stream(1))) < 0.03
    assert agreement(first, mask(DropoutStream(jax.random.fold_in(jax.random.key(0), 0)))) < 0.03
    assert agreement(first[1:], first[:-1]) < 0.03
    assert agreement(first[:, 1:], first[:, :-1]) < 0.03
    np.testing.assert_array_equal(first, mask(stream()))


def test_none_and_zero_are_the_identity():
    x = jnp.arange(6.0).reshape(2, 3)
    assert DropoutStream(None)(x, 0.5) is x
    assert stream()(x, 0.0) is x
    assert stream()(jnp.ones((0, 5)), 0.5).shape == (0, 5)


@pytest.mark.parametrize("shape", [(8, 30), (8, 3, 10), (24, 10)])
def test_an_example_has_its_mask_in_any_part_of_a_batch(shape):
    """Three entries of ten an example, in rows of its own or not."""
    whole = stream()(jnp.ones(shape), 0.5).reshape(8, 30)
    part = jnp.array([1, 4, 6])
    ones = jnp.ones((shape[0] * 3 // 8, *shape[1:]))
    found = DropoutStream(jax.random.key(0), part)(ones, 0.5)
    np.testing.assert_array_equal(found.reshape(3, 30), whole[part])


def test_the_gradient_is_the_mask():
    gradient = jax.grad(lambda x: jnp.sum(stream()(x, 0.25)))(ONES)
    np.testing.assert_array_equal(gradient, stream()(ONES, 0.25))


def test_jit_draws_the_same():
    compiled = jax.jit(lambda key, x: DropoutStream(key)(x, 0.5))
    np.testing.assert_array_equal(compiled(jax.random.key(0), ONES), stream()(ONES, 0.5))
