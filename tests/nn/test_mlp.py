"""Linear layers with ReLU between them and none after the last."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from retrieve_rl.nn.mlp import Mlp


def test_worked_by_hand():
    mlp = Mlp((1, 2, 1), rngs=nnx.Rngs(0))
    mlp.layers[0].kernel[...] = jnp.array([[1.0, -1.0]])
    mlp.layers[1].kernel[...] = jnp.array([[2.0], [-3.0]])
    mlp.layers[1].bias[...] = jnp.array([0.5])
    x = jnp.array([[2.0], [-2.0], [0.0]])
    np.testing.assert_allclose(mlp(x)[:, 0], [4.5, -5.5, 0.5])


def test_one_layer_is_linear():
    mlp = Mlp((3, 2), rngs=nnx.Rngs(0))
    x = jnp.ones((4, 5, 3))
    assert mlp(x).shape == (4, 5, 2)
    np.testing.assert_allclose(mlp(-x), -mlp(x), rtol=1e-6)


def test_the_seed_draws_the_parameters():
    x = jnp.ones((1, 3))
    first, same, other = (Mlp((3, 4, 2), rngs=nnx.Rngs(seed))(x) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)
