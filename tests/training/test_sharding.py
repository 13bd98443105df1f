"""Training on several devices: fake ones, in a process of their own, as JAX starts only once."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from retrieve_rl.errors import UsageError
from retrieve_rl.training.sharding import check_divides

LINEAR = """
import sys
import jax, jax.numpy as jnp, numpy as np, optax
jax.config.update("jax_num_cpu_devices", 4)
from retrieve_rl.training.sharding import mesh_of, replicated, split
from retrieve_rl.training.state import init_state, train_steps

def loss_fn(params, batch, rng_key):
    inputs, targets, scale = batch
    return jnp.mean((inputs @ params - targets) ** 2) * scale[0], {}

def sample(rng_key):
    inputs = jax.random.normal(rng_key, (8, 3))
    return inputs, inputs @ jnp.arange(3.0), jnp.ones(1)

optimizer = optax.adamw(1e-2)
ends = []
for devices in (1, 4):
    mesh = mesh_of(devices)
    state = replicated(init_state(jnp.zeros(3), optimizer), mesh)
    run = jax.jit(lambda state: train_steps(state, jax.random.key(0), num_steps=20,
        sample_fn=sample, loss_fn=loss_fn, optimizer=optimizer, mesh=mesh))
    ends.append(run(state))
    places = {len(array.sharding.device_set) for array in jax.tree.leaves(ends[-1])}
    assert places == {devices}, places
    if mesh is not None:
        cut = jax.jit(lambda batch: split(batch, mesh))(sample(jax.random.key(1)))
        assert [part.sharding.shard_shape(part.shape)[0] for part in cut] == [2, 2, 1]
for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
"""
REFRAME = (
    "--task hopper-medium --preset smoke --set backbone=mlp --set train.steps=4"
    " --set memory.steps=4 --set evaluate.episodes=1"
)


def test_steps_on_four_devices_are_those_on_one():
    subprocess.run([sys.executable, "-c", LINEAR], check=True, timeout=120)


def rrl(*words):
    command = [sys.executable, "-m", "retrieve_rl.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.mark.slow
def test_a_policy_trained_on_two_devices_is_that_of_one(tmp_path):
    told = []
    for devices in (1, 2):
        choice = [*REFRAME.split(), "--set", "retrieval.query=learned"]
        place = ["--runs", tmp_path / str(devices), "--device", "cpu", "--devices", devices]
        done = rrl("train-policy", *choice, *place, "--json", "-q")
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    one, two = (result["training"]["last_metrics"] for result in told)
    assert one.keys() == two.keys() and one["loss"] > 0
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    assert told[0]["config_hash"] == told[1]["config_hash"]
    assert told[1]["device"]["count"] == 2


def test_more_devices_than_there_are_exit_3():
    done = rrl("train-policy", *REFRAME.split(), "--devices", 2, "--runs", os.devnull + "/x")
    assert done.returncode == 3 and "--devices 2: JAX finds 1 (cpu)" in done.stderr


def test_a_batch_that_cannot_be_cut_is_refused():
    check_divides(4, 64)
    with pytest.raises(UsageError, match="a batch of 64 cannot be cut for 3 devices"):
        check_divides(3, 64)
