"""Fusion: the order of neighbors does not matter, and an absent one is what its zero encodes to."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.retrieval.fusion import AttentionFusion, DistanceGate, closeness, scaled_sum

ATTENTION = AttentionFusion(3, 4, rngs=nnx.Rngs(0))
ATTENTION.closeness_weight[...] = jnp.array(2.0)
WAYS = {
    "sum": lambda query, encoded, close: scaled_sum(encoded),
    "attention": ATTENTION,
    "gate": lambda query, encoded, close: DistanceGate()(encoded, close),
}


def test_closeness_worked_by_hand():
    near = closeness(jnp.array([0.0, 2.0, jnp.inf]), scale=2.0)
    np.testing.assert_allclose(near, [1.0, np.exp(-1.0), 0.0], rtol=1e-6)


def test_the_sum_is_divided_by_the_root_of_the_number():
    encoded = jnp.array([[1.0, 0.0], [3.0, 2.0], [0.0, 2.0], [0.0, 0.0]])
    np.testing.assert_allclose(scaled_sum(encoded), [2.0, 2.0])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_permuting_the_neighbors_changes_nothing(rng, way):
    query, encoded = rng.normal(size=(2, 3)), rng.normal(size=(2, 5, 4))
    close, order = rng.uniform(size=(2, 5)), rng.permutation(5)
    arrays = [jnp.asarray(array, jnp.float32) for array in (query, encoded, close)]
    permuted = [arrays[0], arrays[1][:, order], arrays[2][:, order]]
    np.testing.assert_allclose(way(*arrays), way(*permuted), rtol=1e-5, atol=1e-6)


def test_attention_turns_to_the_near(rng):
    encoded = jnp.asarray(rng.normal(size=(1, 2, 4)), jnp.float32)
    fusion = AttentionFusion(3, 4, rngs=nnx.Rngs(0))
    fusion.closeness_weight[...] = jnp.array(100.0)
    fused = fusion(jnp.ones((1, 3)), encoded, jnp.array([[0.0, 1.0]]))
    np.testing.assert_allclose(fused, encoded[:, 1], rtol=1e-4)


def test_the_gate_worked_by_hand():
    gate = DistanceGate()
    gate.weight[...], gate.bias[...] = jnp.array(4.0), jnp.array(-2.0)
    fused = gate(jnp.array([[1.0], [1.0]]), jnp.array([1.0, 0.0]))
    opened, shut = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(2.0))
    np.testing.assert_allclose(fused, [(opened + shut) / np.sqrt(2)], rtol=1e-6)
