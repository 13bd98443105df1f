"""Slices of a batch: how many, and that what comes first in the batch comes first in each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.training import slices
from retrieve_rl.training.slices import in_slices, num_slices


@pytest.mark.parametrize(
    "sizes, at_least, expected",
    [((64,), 16, 4), ((40,), 16, 2), ((64, 0), 8, 8), ((64, 58), 8, 2), ((64, 57), 8, 1)]
    + [((7,), 1, 7), ((8,), 16, 1)],
)
def test_the_most_slices_that_are_equal_and_large_enough(sizes, at_least, expected):
    assert num_slices(*sizes, at_least=at_least) == expected


def test_several_devices_take_whole_batches():
    assert num_slices(64, num_devices=2) == 1


@pytest.mark.parametrize("cores, count, expected", [(1, 4, 1), (2, 4, 2), (3, 4, 2), (16, 4, 4)])
def test_as_many_side_by_side_as_there_are_cores(monkeypatch, cores, count, expected):
    monkeypatch.setattr(slices, "usable_cores", lambda: cores)
    assert slices.side_by_side(count) == expected


@pytest.mark.parametrize("at_once", [1, 3])
def test_each_slice_has_its_share_of_what_comes_first(at_once):
    """Six examples, of which the first three come with a label."""
    seen = []

    def gradient_fn(scale, batch):
        jax.debug.callback(lambda *parts: seen.append([part.tolist() for part in parts]), *batch)
        value, label = batch
        return jnp.mean(value) + jnp.mean(label), scale * jnp.mean(value)

    batch = (jnp.arange(6.0), jnp.array([10.0, 11.0, 12.0]))
    compute = jax.jit(in_slices, static_argnums=(0, 3, 4))
    found = compute(gradient_fn, jnp.float32(2.0), batch, 3, at_once)
    jax.effects_barrier()
    assert sorted(seen) == [[[0.0, 3.0], [10.0]], [[1.0, 4.0], [11.0]], [[2.0, 5.0], [12.0]]]
    np.testing.assert_allclose(found, [2.5 + 11, 5.0])
