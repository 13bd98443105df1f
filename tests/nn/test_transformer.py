"""The transformer attends where it may, and reads only the positions asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.nn.transformer import Attention, Transformer, _matmul

LENGTH = 6
CAUSAL = jnp.tril(jnp.ones((1, LENGTH, LENGTH), bool))
OFF = DropoutStream(None)


@pytest.fixture
def model():
    return Transformer(8, num_layers=2, num_heads=2, dropout=0.5, rngs=nnx.Rngs(0))


@pytest.fixture
def x():
    return jax.random.normal(jax.random.key(1), (1, LENGTH, 8))


def influence(model, x, attend):
    """[P, L]: largest gradient of output P with respect to input L."""
    gradients = jax.jacrev(lambda x: jnp.sum(model(x, attend, OFF)[0] ** 3, axis=-1))(x)
    return np.abs(gradients[:, 0]).max(axis=-1)


def test_causal_by_gradient(model, x):
    found = influence(model, x, CAUSAL)
    assert np.all(found[~np.asarray(CAUSAL[0])] == 0)
    assert np.all(found[np.asarray(CAUSAL[0])] > 0)


def test_what_may_not_be_attended_to_has_no_influence(model, x):
    attend = CAUSAL & (jnp.arange(LENGTH) != 2)[None, None] | jnp.eye(LENGTH, dtype=bool)[None]
    found = influence(model, x, attend)
    assert np.all(found[[0, 1, 3, 4, 5], 2] == 0) and found[2, 2] > 0


@pytest.mark.parametrize("positions", [slice(1, None, 3), slice(-1, None), slice(0, 2)])
def test_positions_are_a_slice_of_the_whole(model, x, positions):
    whole = model(x, CAUSAL, OFF)
    part = model(x, CAUSAL, OFF, positions)
    np.testing.assert_allclose(part, whole[:, positions], rtol=1e-5, atol=1e-6)


def test_a_row_that_may_attend_to_nothing_stays_finite(model, x):
    nowhere = jnp.zeros((1, LENGTH, LENGTH), bool)
    assert np.isfinite(model(x, nowhere, OFF)).all()
    gradient = jax.grad(lambda x: jnp.sum(model(x, nowhere, OFF)))(x)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("inputs, outputs", [(3, 5), (5, 3), (4, 4)])
def test_a_projection_has_the_gradients_of_a_product(inputs, outputs):
    """Wider, narrower and as wide: each is computed in a form of its own."""
    keys = jax.random.split(jax.random.key(2), 3)
    x, kernel, weights = (
        jax.random.normal(key, shape)
        for key, shape in zip(keys, [(7, inputs), (inputs, outputs), (7, outputs)], strict=True)
    )
    found, expected = (
        jax.grad(lambda x, kernel, f=f: jnp.sum(weights * f(x, kernel)), argnums=(0, 1))(x, kernel)
        for f in (_matmul, jnp.matmul)
    )
    for ours, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width 8 .* num_heads 3"):
        Attention(8, 3, 0.0, rngs=nnx.Rngs(0))


def test_every_dropout_of_a_pass_has_its_own_mask(model, x, monkeypatch):
    """Uses are told apart by a counter; three a block, none drawn twice."""
    folded = []
    fold_in = jax.random.fold_in
    monkeypatch.setattr(jax.random, "fold_in", lambda k, n: folded.append(n) or fold_in(k, n))
    model(x, CAUSAL, DropoutStream(jax.random.key(0)))
    assert folded == list(range(6))


def test_dropout_changes_the_output_by_its_key(model, x):
    outputs = [model(x, CAUSAL, DropoutStream(jax.random.key(seed))) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])
