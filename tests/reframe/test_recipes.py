"""Recipes: names, shares, and random streams that meet nobody else's."""

import pytest

from retrieve_rl.errors import UsageError
from retrieve_rl.reframe.recipes import (
    FIRST_RESET_SEED,
    action_seed,
    bundled_ids,
    find_recipe,
    reset_seed,
)


def test_twelve_sets_under_every_spelling():
    assert len(bundled_ids()) == 12
    for name in ("rrl/hopper/medium-v0", "hopper/medium", "hopper-medium"):
        assert find_recipe(name).dataset_id == "rrl/hopper/medium-v0"
    assert find_recipe("walker2d-medium-replay-short").env_id == "Walker2d-v5"
    assert find_recipe("hopper-medium").name == "rrl/hopper/medium-v0@1"


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean rrl/hopper/medium-v0"):
        find_recipe("hopper-mediun")


@pytest.mark.parametrize(
    ("name", "steps", "episodes"),
    [
        ("hopper-medium", 1_000_000, 0),
        ("hopper-expert", 0, 200),
        ("walker2d-medium-short", 50_000, 0),
        ("walker2d-expert-short", 0, 40),
    ],
)
def test_single_policy_sets(name, steps, episodes):
    (stage,) = find_recipe(name).stages
    assert (stage.steps, stage.episodes) == (steps, episodes)
    assert stage.policy == ("expert" if episodes else "medium")


@pytest.mark.parametrize(("robot", "snapshots"), [("hopper", 16), ("walker2d", 17)])
def test_replay_is_random_then_every_snapshot_in_equal_shares(robot, snapshots):
    recipe = find_recipe(f"{robot}-medium-replay")
    assert recipe.policies == ("random", *(f"ladder-{n}" for n in range(snapshots)))
    (share,) = {stage.steps for stage in recipe.stages}
    assert 0 <= share * len(recipe.stages) - 400_000 < len(recipe.stages)


def test_streams_of_all_recipes_are_apart_and_above_evaluation():
    blocks = set()
    for dataset_id in bundled_ids():
        recipe = find_recipe(dataset_id)
        first, last = reset_seed(recipe, 0, 0), reset_seed(recipe, 19, 49_999)
        assert FIRST_RESET_SEED <= first < last < 2**31
        assert first // 1_000_000 == last // 1_000_000
        blocks.add(first // 1_000_000)
        assert reset_seed(recipe, 0, 49_999) < reset_seed(recipe, 1, 0)
        assert action_seed(recipe, 1, 2) != action_seed(recipe, 2, 1)
    assert len(blocks) == 12
    with pytest.raises(ValueError, match="at most"):
        reset_seed(recipe, 0, 50_000)
