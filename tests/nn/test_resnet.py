"""The residual network against JAX's own convolution, and on its own."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from retrieve_rl.nn.resnet import BoardConv, ResNet


def test_a_convolution_is_jax_s(rng):
    conv = BoardConv(3, 5, rngs=nnx.Rngs(0))
    x = jnp.asarray(rng.normal(size=(2, 9, 9, 3)), jnp.float32)
    kernel = conv.linear.kernel[...].reshape(3, 3, 3, 5)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(conv(x), expected, atol=1e-5)


def test_a_position_s_features_do_not_depend_on_its_batch(rng):
    network = ResNet(4, 8, 2, rngs=nnx.Rngs(0))
    x = jnp.asarray(rng.normal(size=(3, 9, 9, 4)), jnp.float32)
    assert network(x).shape == (3, 9, 9, 8)
    np.testing.assert_allclose(network(x)[:1], network(x[:1]), atol=1e-5)


def test_two_blocks_see_five_points_far(rng):
    network = ResNet(1, 8, 2, rngs=nnx.Rngs(0))
    x = jnp.zeros((1, 9, 9, 1))
    changed = np.asarray(network(x) != network(x.at[0, 0, 0, 0].set(1.0))).any(axis=(0, 3))
    assert changed[:6, :6].any(axis=1).all() and not changed[6:].any() and not changed[:, 6:].any()
