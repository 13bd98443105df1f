"""Train steps: what the optimizer does to parameters, and what a step's batch depends on."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.training.state import adamw, init_state, train_steps

RATE = 0.01


def updates_for(
    gradients, *, warmup_steps=0, total_steps=10**6, weight_decay=0.0, clip_norm=1e9, start=0.0
):
    """Changes of a parameter under the given gradients, with nearly constant rate by default."""
    optimizer = adamw(
        RATE,
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
    )
    params = jnp.array([start])
    opt_state, found = optimizer.init(params), []
    for gradient in gradients:
        update, opt_state = optimizer.update(jnp.array([gradient]), opt_state, params)
        params = params + update
        found.append(float(update[0]))
    return np.array(found)


def test_the_rate_rises_during_warm_up_and_then_falls():
    # Under a constant gradient Adam's step is the learning rate itself: a schedule before Adam
    # would be normalized away and every step would be alike.
    found = -updates_for([1.0] * 20, warmup_steps=5, total_steps=20)
    np.testing.assert_allclose(np.diff(found[:6]), RATE / 5, rtol=1e-3)
    assert found.max() == pytest.approx(RATE, rel=1e-3) == found[5]
    assert np.all(np.diff(found[5:]) < 0) and 0 < found[-1] < 0.05 * RATE


def test_without_warm_up_the_first_step_is_whole():
    np.testing.assert_allclose(-updates_for([1.0] * 3), RATE, rtol=1e-3)


@pytest.mark.parametrize("warmup_steps, total_steps", [(0, 0), (0, 1), (5, 5), (5, 1)])
def test_the_shortest_schedules_stay_finite(warmup_steps, total_steps):
    found = updates_for([1.0] * 3, warmup_steps=warmup_steps, total_steps=total_steps)
    assert np.isfinite(found).all()


def test_gradients_are_clipped_before_adam():
    steady = updates_for([1.0, 1.0], clip_norm=0.25)
    np.testing.assert_allclose(updates_for([1.0, 1000.0], clip_norm=0.25), steady, rtol=1e-4)
    assert abs(updates_for([1.0, 1000.0])[1] / steady[1] - 1) > 0.1


def test_weight_decay_shrinks_without_a_gradient():
    found = updates_for([0.0], weight_decay=0.5, start=2.0)
    np.testing.assert_allclose(found, -RATE * 0.5 * 2.0, rtol=1e-5)
    np.testing.assert_array_equal(updates_for([0.0], start=2.0), 0.0)


def noisy_loss(params, batch, rng_key):
    noise = jax.random.normal(rng_key)
    loss = jnp.sum((params["x"] - batch) ** 2) + 0.1 * noise * jnp.sum(params["x"])
    return loss, {"batch": batch[0], "noise": noise}


@pytest.fixture(scope="module")
def optimizer():
    return adamw(0.1, warmup_steps=3, total_steps=9, weight_decay=0.01, clip_norm=1.0)


@pytest.fixture(scope="module")
def steps(optimizer):
    @partial(jax.jit, static_argnums=1)
    def steps(state, num_steps, rng_key):
        return train_steps(
            state,
            rng_key,
            num_steps=num_steps,
            sample_fn=lambda key: jax.random.normal(key, (3,)),
            loss_fn=noisy_loss,
            optimizer=optimizer,
        )

    return steps


@pytest.fixture
def fresh(optimizer):
    return init_state({"x": jnp.ones(3)}, optimizer)


def test_two_and_two_are_four(steps, fresh):
    key = jax.random.key(0)
    whole, _ = steps(fresh, 4, key)
    half, _ = steps(fresh, 2, key)
    halves, _ = steps(half, 2, key)
    assert int(whole.step) == 4
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(halves), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_step_draws_its_own_batch_and_its_own_noise(steps, fresh):
    drawn = []
    state = fresh
    for _ in range(5):
        state, metrics = steps(state, 1, jax.random.key(0))
        drawn += [float(metrics["batch"]), float(metrics["noise"])]
    assert len(set(drawn)) == 10
    _, other = steps(fresh, 1, jax.random.key(1))
    assert float(other["batch"]) not in drawn


def test_metrics_are_means_over_the_steps(steps, fresh):
    _, together = steps(fresh, 3, jax.random.key(0))
    state, apart = fresh, []
    for _ in range(3):
        state, metrics = steps(state, 1, jax.random.key(0))
        apart.append(metrics)
    for name in ("loss", "batch", "gradient_norm"):
        mean = np.mean([float(metrics[name]) for metrics in apart])
        assert float(together[name]) == pytest.approx(mean, rel=1e-5)
    assert bool(together["finite"])


def test_one_bad_step_among_good_ones_is_seen(optimizer):
    def loss_fn(params, batch, rng_key):
        # The loss itself stays finite: only the gradient of the root at 0 is not.
        return jnp.sum(params["x"]) + jnp.sqrt(jnp.abs(params["x"][0] * batch)), {}

    state = init_state({"x": jnp.ones(3)}, optimizer)
    options = {"num_steps": 3, "loss_fn": loss_fn, "optimizer": optimizer}
    key = jax.random.key(0)
    _, good = train_steps(state, key, sample_fn=lambda key: jnp.ones(()), **options)
    _, bad = train_steps(state, key, sample_fn=lambda key: jnp.zeros(()), **options)
    assert bool(good["finite"]) and not bool(bad["finite"])
