"""What stage 2 minimizes: worked by hand, blind to padding, the memory untouched."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.reframe.losses import policy_loss, squared_error, step_weights
from retrieve_rl.reframe.policy import new_policy
from retrieve_rl.reframe.train import counts_of, make_inputs, sample_batch
from retrieve_rl.training.slices import in_slices


def test_worked_by_hand():
    predicted = jnp.array([[[1.0, 0.0], [2.0, 2.0]], [[0.0, 0.0], [5.0, 5.0]]])
    actions = jnp.zeros((2, 2, 2))
    mask = jnp.array([[True, True], [True, False]])
    assert float(squared_error(predicted, actions, step_weights(mask))) == pytest.approx(9 / 6)
    nothing = step_weights(jnp.zeros((2, 2), bool))
    assert float(squared_error(predicted, actions, nothing)) == 0


def test_padded_entries_have_no_gradient():
    predicted = jnp.array([[[1.0], [1e3]]])
    mask = jnp.array([[True, False]])
    gradient = jax.grad(squared_error)(predicted, jnp.zeros((1, 2, 1)), step_weights(mask))
    np.testing.assert_array_equal(gradient[0, :, 0], [2.0, 0.0])


@pytest.fixture(scope="module", params=["frozen", "learned", "none"])
def setup(request, tiny, make_data, make_memory, make_shared_run):
    """(config, graphdef, params, key groups, memory, batch) of three kinds of query."""
    options = {
        "frozen": {"query": "observation"},
        "learned": {"query": "learned"},
        "none": {"source": "none"},
    }[request.param]
    config, data = tiny(retrieval=options), make_data()
    keys = np.random.default_rng(5).normal(size=(35, 4)).astype(np.float32)
    memory = make_memory(data.experts, keys if request.param == "learned" else None)
    memory = memory if config.retrieves else None
    inputs = jax.device_put(make_inputs(config, data, memory, make_shared_run()))
    batch = jax.jit(partial(sample_batch, config, counts_of(data)))(inputs, jax.random.key(0))
    graphdef, params = nnx.split(new_policy(config, data.observation_dim, data.action_dim))
    key_groups = inputs.hidden.key_groups if inputs.hidden else None
    return config, graphdef, params, key_groups, inputs.memory, batch


@pytest.fixture(scope="module")
def gradients(setup):
    """The loss's gradients by the parameters and by the memory."""
    config, graphdef, params, groups, memory, batch = setup

    def loss(params, floats):
        changed = memory._replace(**floats) if memory else None
        return policy_loss(config, graphdef, groups, changed, params, batch, jax.random.key(0))[0]

    names = ("keys", "actions", "distance_scale", "center", "spread") if memory else ()
    floats = {name: getattr(memory, name) for name in names}
    return jax.jit(jax.grad(loss, argnums=(0, 1)))(params, floats)


def loss_of(setup):
    config, graphdef, params, groups, memory, batch = setup
    compiled = jax.jit(partial(policy_loss, config, graphdef, groups))
    return partial(compiled, memory, params), batch


def test_padding_changes_nothing(setup):
    loss, batch = loss_of(setup)
    padded = ~batch.window.mask
    assert 0 < int(padded.sum()) < padded.size / 2
    garbage = batch.window._replace(
        observations=jnp.where(padded[..., None], 50.0, batch.window.observations),
        actions=jnp.where(padded[..., None], -50.0, batch.window.actions),
        returns_to_go=jnp.where(padded, 50.0, batch.window.returns_to_go),
    )
    neighbors = batch.neighbors
    if neighbors is not None:
        taught = padded[: neighbors.indices.shape[0], :, None]
        neighbors = neighbors._replace(
            indices=jnp.where(taught, 0, neighbors.indices),
            distances=jnp.where(taught, 0.0, neighbors.distances),
        )
    key = jax.random.key(0)
    expected, expected_metrics = loss(batch, key)
    found, metrics = loss(batch._replace(window=garbage, neighbors=neighbors), key)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for name, value in expected_metrics.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4)


def test_without_dropout_the_backbone_error_is_the_backbones(setup):
    config, graphdef, params, groups, memory, batch = setup
    config = config.model_copy(
        update={"transformer": config.transformer.model_copy(update={"dropout": 0.0})}
    )
    graphdef, params = nnx.split(new_policy(config, 3, 2))
    _, metrics = jax.jit(partial(policy_loss, config, graphdef, groups))(
        memory, params, batch, jax.random.key(0)
    )
    policy = nnx.merge(graphdef, params)
    actions = jax.jit(lambda window: policy.backbone(window, DropoutStream(None)).actions)(
        batch.window
    )
    weights = step_weights(batch.window.mask)
    expected = squared_error(actions, batch.window.actions, weights)
    np.testing.assert_allclose(metrics["backbone_error"], expected, rtol=1e-5)


def test_slices_with_dropout_add_up_to_the_batch(setup):
    """Half of the batch teaches the correction, and no two slices hold equally many real steps."""
    config, graphdef, params, groups, memory, batch = setup
    taught = config.experts_in_batch
    assert len(set(np.asarray(batch.window.mask).reshape(-1, 4, 4).sum(axis=(0, 2)))) > 1
    assert config.transformer.dropout > 0 and (
        not config.retrieves or taught == len(batch.examples) / 2
    )

    def gradient_fn(params, batch):
        loss = partial(policy_loss, config, graphdef, groups, memory)
        return jax.value_and_grad(loss, has_aux=True)(params, batch, jax.random.key(0))

    compute = jax.jit(partial(in_slices, gradient_fn), static_argnums=(2, 3))
    whole, sliced = compute(params, batch, 1, 1), compute(params, batch, 4, 2)
    for one, other in zip(*map(jax.tree.leaves, (whole, sliced)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_memory_gets_no_gradient(gradients):
    assert not any(np.any(gradient) for gradient in gradients[1].values())


def test_the_correction_teaches_the_backbone_nothing(setup, gradients):
    """By default: the backbone's gradient is that of its own error over the whole batch."""
    config, graphdef, params, groups, memory, batch = setup

    @jax.jit
    @jax.grad
    def own_error(params):
        _, metrics = policy_loss(config, graphdef, groups, memory, params, batch, jax.random.key(0))
        return metrics["backbone_error"]

    expected = jax.tree.leaves(own_error(params)["backbone"])
    for found, leaf in zip(jax.tree.leaves(gradients[0]["backbone"]), expected, strict=True):
        np.testing.assert_allclose(found, leaf, rtol=1e-4, atol=1e-6)


def test_gradients_are_finite_and_reach_most_parameters(gradients):
    sizes = np.array([float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients[0])])
    assert np.isfinite(sizes).all() and np.mean(sizes > 0) > 0.8


def test_the_key_decides_the_dropout(setup):
    loss, batch = loss_of(setup)
    values = [float(loss(batch, jax.random.key(seed))[0]) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
