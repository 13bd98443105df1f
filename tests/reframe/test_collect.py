"""Collection: the environments' own numbers, and the same arrays however the work is spread."""

import dataclasses
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import collect as collect_module
from retrieve_rl.reframe.behavior import load_policy
from retrieve_rl.reframe.collect import EPISODES_PER_UNIT, collect, collect_unit
from retrieve_rl.reframe.recipes import Stage, action_seed, find_recipe, reset_seed

SILENT = Reporter(verbosity=-1)


def same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert (one.seed, one.terminated) == (other.seed, other.terminated)
        for key in ("observations", "actions", "rewards"):
            np.testing.assert_array_equal(getattr(one, key), getattr(other, key))


@pytest.mark.parametrize("robot", ["hopper", "walker2d"])
def test_an_episode_is_what_the_wrapped_environment_gives(robot):
    recipe = find_recipe(f"{robot}-medium-replay")
    stage, number = 2, 3  # an early snapshot: short episodes
    rollout = collect_unit(recipe, stage, 0)[number]
    env = gymnasium.make(recipe.env_id)
    observation, _ = env.reset(seed=reset_seed(recipe, stage, number))
    policy = load_policy(robot, recipe.stages[stage].policy)
    noise = policy.noise(np.random.default_rng(action_seed(recipe, stage, number)), 1000)
    for step, action in enumerate(rollout.actions):
        np.testing.assert_array_equal(rollout.observations[step], observation.astype(np.float32))
        chosen = policy(rollout.observations[step : step + 1], noise[step : step + 1])
        np.testing.assert_allclose(action, chosen[0], atol=1e-5)  # batched products round apart
        observation, reward, terminated, truncated, _ = env.step(action)
        assert rollout.rewards[step] == np.float32(reward)
        assert (terminated or truncated) == (step == len(rollout.actions) - 1)
    assert rollout.terminated == terminated
    np.testing.assert_array_equal(rollout.observations[-1], observation.astype(np.float32))
    env.close()


def test_a_unit_does_not_depend_on_what_ran_before():
    recipe = find_recipe("hopper-medium-replay")
    first = collect_unit(recipe, 0, 1)
    collect_unit(recipe, 0, 0)
    same(collect_unit(recipe, 0, 1), first)


def test_the_time_limit_cuts_and_is_not_a_termination():
    rollouts = collect_unit(find_recipe("hopper-expert"), 0, 0)
    assert {len(rollout.rewards) for rollout in rollouts if not rollout.terminated} == {1000}
    assert len(rollouts) == EPISODES_PER_UNIT
    assert all(len(r.observations) == len(r.actions) + 1 for r in rollouts)


def test_one_worker_and_two_give_the_same_arrays_and_the_goals_hold():
    recipe = find_recipe("hopper-medium-replay").resized(steps=300)
    recipe = dataclasses.replace(recipe, stages=recipe.stages[:3])
    two = collect(recipe, SILENT, workers=2)
    same(collect(recipe, SILENT, workers=1), two)
    start = 0
    for stage in range(len(recipe.stages)):
        wanted, reached = [], 0
        while reached < 300:  # whole episodes by number, and not one more than needed
            assert two[start + len(wanted)].seed == reset_seed(recipe, stage, len(wanted))
            reached += len(two[start + len(wanted)].rewards)
            wanted.append(reached)
        start += len(wanted)
    assert start == len(two)


def test_a_goal_of_episodes_takes_the_first_ones_whatever_finishes_first():
    state = collect_module._StageState(0, Stage("random", episodes=10))
    recipe = find_recipe("hopper-medium-replay")
    units = [collect_unit(recipe, 0, unit) for unit in range(2)]
    state.finish(1, units[1])
    state.finish(0, units[0])
    same(state.chosen(), (units[0] + units[1])[:10])


def test_workers_are_lean_and_a_script_without_a_guard_works():
    code = """
import sys
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.collect import collect
from retrieve_rl.reframe.recipes import find_recipe
assert not {"jax", "minari", "gymnasium"} & set(sys.modules), "heavy imports"
recipe = find_recipe("hopper-medium-short").resized(episodes=1)
print(len(collect(recipe, Reporter(), workers=1)))
"""
    done = subprocess.run(
        [sys.executable, "-"], input=code, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"
    assert "making rrl/hopper/medium-short-v0: 1/1" in done.stderr
