"""Backbones: causal by gradient, blind to padding, made from a name."""

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.errors import UsageError
from retrieve_rl.nn.dropout import DropoutStream
from retrieve_rl.reframe.backbone import (
    Backbone,
    BackboneOutput,
    DecisionTransformer,
    MlpBackbone,
    last_step,
    make_backbone,
)
from retrieve_rl.reframe.losses import squared_error, step_weights
from retrieve_rl.reframe.windows import Window

OFF = DropoutStream(None)
LENGTH, OBSERVATIONS, ACTIONS = 5, 3, 2


def make(config):
    return make_backbone(config, OBSERVATIONS, ACTIONS, rngs=nnx.Rngs(0))


@pytest.fixture(params=["dt", "mlp"])
def backbone(request, tiny):
    return make(tiny(backbone=request.param))


@pytest.fixture
def transformer(tiny):
    return make(tiny())


def random_window(rng, padded=0):
    mask = np.arange(LENGTH)[None] >= padded
    return Window(
        jnp.asarray(rng.normal(size=(1, LENGTH, OBSERVATIONS)), jnp.float32),
        jnp.asarray(rng.normal(size=(1, LENGTH, ACTIONS)), jnp.float32),
        jnp.asarray(rng.normal(size=(1, LENGTH)), jnp.float32),
        jnp.asarray(np.maximum(np.arange(LENGTH) - padded, 0)[None], jnp.int32),
        jnp.asarray(mask),
    )


def influence(backbone, window, part):
    """[T, T]: gradient of the output at step t (actions and features) by `part` at step s."""

    @jax.jit
    def jacobian(values):
        def outputs(values):
            output = backbone(window._replace(**{part: values}), OFF)
            return jnp.sum(output.actions[0] ** 3, -1) + jnp.sum(output.features[0] ** 3, -1)

        return jax.jacrev(outputs)(values)

    found = np.abs(jacobian(getattr(window, part)))[:, 0]
    return found if found.ndim == 2 else found.max(axis=-1)


EARLIER = np.tril(np.ones((LENGTH, LENGTH), bool), -1)
NOW_OR_EARLIER = np.tril(np.ones((LENGTH, LENGTH), bool))


@pytest.mark.parametrize(
    "part, seen",
    [("observations", NOW_OR_EARLIER), ("returns_to_go", NOW_OR_EARLIER), ("actions", EARLIER)],
)
def test_the_transformer_is_causal_by_gradient(transformer, rng, part, seen):
    found = influence(transformer, random_window(rng), part)
    assert np.all(found[~seen] == 0)
    assert np.all(found[seen] > 0)


def test_the_mlp_sees_its_own_observation_alone(tiny, rng):
    mlp = make(tiny(backbone="mlp", mlp={"width": 64}))
    window = random_window(rng)
    diagonal = np.eye(LENGTH, dtype=bool)
    found = influence(mlp, window, "observations")
    assert np.all(found[~diagonal] == 0) and np.all(found[diagonal] > 0)
    assert not influence(mlp, window, "actions").any()


@pytest.mark.parametrize("part", ["observations", "returns_to_go", "actions"])
def test_padded_steps_have_no_gradient(backbone, rng, part):
    window = random_window(rng, padded=2)

    @jax.jit
    def loss(values):
        output = backbone(window._replace(**{part: values}), OFF)
        return squared_error(output.actions, window.actions, step_weights(window.mask))

    gradient = np.asarray(jax.grad(loss)(getattr(window, part)))
    assert not gradient[:, :2].any()
    if part == "observations":
        assert np.all(np.abs(gradient[:, 2:]).sum(axis=-1) > 0)


def test_what_stands_in_padding_changes_nothing(backbone, rng):
    window = random_window(rng, padded=2)
    other = Window(
        window.observations.at[:, :2].set(1e3),
        window.actions.at[:, :2].set(-1e3),
        window.returns_to_go.at[:, :2].set(7.0),
        window.timesteps.at[:, :2].set(9),
        window.mask,
    )
    act = jax.jit(lambda window: backbone(window, OFF))
    for first, second in zip(act(window), act(other), strict=True):
        np.testing.assert_array_equal(first[:, 2:], second[:, 2:])


def test_timesteps_and_order_matter_to_the_transformer(transformer, rng):
    window = random_window(rng)
    later = window._replace(timesteps=window.timesteps + 3)
    act = jax.jit(lambda window: transformer(window, OFF).actions)
    first, second = act(window), act(later)
    assert not np.allclose(first, second)


def test_outputs_have_the_promised_shapes_and_range(backbone, rng):
    output = jax.jit(lambda window: backbone(window, OFF))(random_window(rng))
    assert output.actions.shape == (1, LENGTH, ACTIONS)
    assert output.features.shape == (1, LENGTH, backbone.feature_dim)
    assert np.all(np.abs(output.actions) <= 1)
    assert isinstance(backbone, Backbone)


def test_dropout_is_drawn_anew_by_key_and_off_without_one(transformer, rng):
    window = random_window(rng)
    act = jax.jit(lambda key: transformer(window, DropoutStream(key)).actions)
    keys = (jax.random.key(0), jax.random.key(0), jax.random.key(1), None)
    outputs = [np.asarray(act(key)) for key in keys]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])
    assert not np.allclose(outputs[0], outputs[3])


class OwnBackbone(nnx.Module):
    def __init__(self, config, observation_dim, action_dim, *, rngs):
        self.feature_dim = 4
        self.linear = nnx.Linear(observation_dim, 4, rngs=rngs)
        self.head = nnx.Linear(4, action_dim, rngs=rngs)

    def __call__(self, window, dropout):
        features = self.linear(window.observations)
        return BackboneOutput(jnp.tanh(self.head(features)), features)


def test_backbones_are_made_by_name(tiny, rng, monkeypatch):
    assert isinstance(make(tiny()), DecisionTransformer)
    assert isinstance(make(tiny(backbone="mlp")), MlpBackbone)
    module = types.ModuleType("own_backbones")
    module.OwnBackbone = OwnBackbone
    monkeypatch.setitem(sys.modules, "own_backbones", module)
    own = make(tiny(backbone="own_backbones:OwnBackbone"))
    assert own(random_window(rng), OFF).actions.shape == (1, LENGTH, ACTIONS)
    for name, message in [
        ("gru", "neither dt, mlp nor"),
        ("own_backbones:Missing", "cannot be imported"),
        ("no_such_package:Class", "cannot be imported"),
    ]:
        with pytest.raises(UsageError, match=message):
            make(tiny(backbone=name))


@pytest.mark.parametrize("padded", [0, LENGTH - 1])
def test_the_last_step_alone_is_the_last_of_all(backbone, rng, padded):
    window = random_window(rng, padded)
    alone, whole = last_step(backbone, window), backbone(window, OFF)
    for part, of_all in zip(alone, whole, strict=True):
        np.testing.assert_allclose(part, of_all[:, -1:], rtol=1e-5, atol=1e-6)


def test_a_backbone_need_not_know_how_to_act_faster(tiny, rng):
    own = OwnBackbone(tiny(), OBSERVATIONS, ACTIONS, rngs=nnx.Rngs(0))
    window = random_window(rng)
    np.testing.assert_array_equal(last_step(own, window).actions, own(window, OFF).actions[:, -1:])
