"""Behavior policies: by hand, against a loop over scalars, and as files of the package."""

import math
from importlib import resources

import numpy as np
import pytest

from retrieve_rl.reframe import behavior
from retrieve_rl.reframe.behavior import (
    ClippedGaussianPolicy,
    SquashedGaussianPolicy,
    UniformPolicy,
    load_policy,
)


def f32(*values):
    return np.array(values, dtype=np.float32)


def test_squashed_gaussian_by_hand():
    policy = SquashedGaussianPolicy(
        w0=f32([1, -1]), b0=f32(0, 0), w1=f32([2, 0], [0, 3]), b1=f32(0.5, -9),
        w_mean=f32([0.1], [7]), b_mean=f32(0.05), w_log_std=f32([0], [0]), b_log_std=f32(5),
    )  # fmt: skip
    # o = 2: hidden (2, 0), then (4.5, 0); mean 0.45 + 0.05; log std cut from 5 to 2.
    action = policy(f32([2]), f32([0.1]))
    assert action == pytest.approx(math.tanh(0.5 + math.exp(2) * 0.1), rel=1e-6)


def test_clipped_gaussian_by_hand():
    policy = ClippedGaussianPolicy(
        obs_mean=f32(1), obs_std=f32(2), w0=f32([1]), b0=f32(0), w1=f32([1]), b1=f32(0),
        w_mean=f32([2]), b_mean=f32(0.1), log_std=f32(math.log(0.5)),
    )  # fmt: skip
    mean = 2 * math.tanh(math.tanh((1.5 - 1) / 2)) + 0.1
    assert policy(f32([1.5]), f32([0.2])) == pytest.approx(mean + 0.5 * 0.2, rel=1e-6)
    assert policy(f32([1.5]), f32([9.0])) == 1.0
    assert policy(f32([1.5]), f32([-9.0])) == -1.0


@pytest.mark.parametrize("robot", ["hopper", "walker2d"])
@pytest.mark.parametrize("name", ["medium", "expert", "ladder-0", "ladder-3"])
def test_bundled_policy_is_the_formula_over_its_file(robot, name):
    stem = "sac_ladder" if name.startswith("ladder") else name
    file = resources.files("retrieve_rl.reframe") / "policies" / f"{robot}_{stem}.npz"
    with resources.as_file(file) as path, np.load(path, allow_pickle=False) as archive:
        w = {key: archive[key].astype(np.float64) for key in archive.files}
    if stem == "sac_ladder":
        w = {key: array[int(name[-1])] for key, array in w.items()}
    rng = np.random.default_rng(0)
    observation = rng.normal(size=len(w["w0"]))
    noise = rng.normal(size=len(w["b_mean"]))

    def layer(inputs, kernel, bias):
        columns = zip(kernel.T, bias, strict=True)
        return [
            sum(i * k for i, k in zip(inputs, column, strict=True)) + b for column, b in columns
        ]

    if "log_std" in w:
        scaled = (observation - w["obs_mean"]) / w["obs_std"]
        hidden = [math.tanh(x) for x in layer(scaled, w["w0"], w["b0"])]
        hidden = [math.tanh(x) for x in layer(hidden, w["w1"], w["b1"])]
        stds = [math.exp(x) for x in w["log_std"]]
    else:
        hidden = [max(x, 0) for x in layer(observation, w["w0"], w["b0"])]
        hidden = [max(x, 0) for x in layer(hidden, w["w1"], w["b1"])]
        log_stds = layer(hidden, w["w_log_std"], w["b_log_std"])
        stds = [math.exp(min(max(x, -20), 2)) for x in log_stds]
    raw = [
        mean + std * z
        for mean, std, z in zip(layer(hidden, w["w_mean"], w["b_mean"]), stds, noise, strict=True)
    ]
    expected = [min(max(x, -1), 1) if "log_std" in w else math.tanh(x) for x in raw]
    found = load_policy(robot, name)(f32(observation), f32(noise))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, atol=2e-5)


@pytest.mark.parametrize(("robot", "length"), [("hopper", 16), ("walker2d", 17)])
def test_ladder_ends_in_medium(robot, length):
    assert behavior.ladder_length(robot) == length
    last, medium = load_policy(robot, f"ladder-{length - 1}"), load_policy(robot, "medium")
    observations = np.random.default_rng(1).normal(size=(5, medium.w0.shape[0]))
    noise = np.zeros((5, len(medium.b_mean)), dtype=np.float32)
    observations = observations.astype(np.float32)
    np.testing.assert_allclose(last(observations, noise), medium(observations, noise), atol=0.02)


def test_random_policy_is_uniform_and_its_noise_is_the_episodes_own():
    policy = load_policy("walker2d", "random")
    assert isinstance(policy, UniformPolicy)
    noise = policy.noise(np.random.default_rng(3), 2000)
    assert noise.shape == (2000, 6) and noise.dtype == np.float32
    assert -1 <= noise.min() < -0.99 and 0.99 < noise.max() <= 1
    assert abs(float(noise.mean())) < 0.02
    np.testing.assert_array_equal(policy.noise(np.random.default_rng(3), 2000), noise)


def test_package_names_sources_and_holds_licenses():
    folder = resources.files("retrieve_rl.reframe") / "policies"
    readme = (folder / "README.md").read_text()
    for entry in folder.iterdir():
        if entry.name != "README.md":
            assert entry.name in readme
    assert "MIT" in (folder / "LICENSE-MIT-rl-trained-agents").read_text()
    assert len(behavior.policy_sha256("hopper", "ladder-2")) == 64
