"""Expert draws: nested, apart from what tunes and from what is held out."""

import numpy as np
import pytest

from retrieve_rl.errors import UsageError
from retrieve_rl.reframe.config import resolve
from retrieve_rl.reframe.experts import draw_experts


def drawn(num_experts, *, num_episodes=200, seed=0, tuning=False):
    return draw_experts(num_episodes, num_experts, seed=seed, tuning=tuning)


def test_a_smaller_draw_begins_a_larger_one():
    largest = drawn(80).memory
    assert len(set(largest)) == 80
    for size in (1, 5, 10, 30, 60):
        np.testing.assert_array_equal(drawn(size).memory, largest[:size])


def test_the_seed_draws():
    draws = {tuple(drawn(60, seed=seed).memory) for seed in range(5)}
    assert len(draws) == 5
    np.testing.assert_array_equal(drawn(60, seed=3).memory, drawn(60, seed=3).memory)


def test_held_out_and_tuning_episodes_stay_apart():
    published, tuning = drawn(80), drawn(80, tuning=True)
    parts = [published.memory, published.held_out, tuning.memory, tuning.held_out]
    assert [len(part) for part in parts] == [80, 20, 80, 20]
    assert sorted(np.concatenate(parts)) == list(range(200))
    assert published.memory.max() < 100 <= tuning.memory.min()
    for seed in range(5):
        np.testing.assert_array_equal(drawn(10, seed=seed).held_out, published.held_out)


@pytest.mark.parametrize("num_episodes", [1, 3, 39])
def test_small_sets_are_used_whole(num_episodes):
    for tuning in (False, True):
        draw = drawn(num_episodes, num_episodes=num_episodes, tuning=tuning)
        assert sorted(draw.memory) == list(range(num_episodes)) and draw.held_out.size == 0


@pytest.mark.parametrize("num_episodes, most", [(200, 80), (40, 16), (41, 16), (39, 39), (2, 2)])
def test_more_than_there_are_is_refused(num_episodes, most):
    assert len(drawn(most, num_episodes=num_episodes).memory) == most
    with pytest.raises(UsageError, match=f"{most + 1}, but only {most} of the {num_episodes}"):
        drawn(most + 1, num_episodes=num_episodes)


def test_every_arm_asks_for_the_same_experts():
    arms = ["reframe", "reframe-literal", "reframe-random", "backbone", "backbone-experts"]
    arms += ["bc-experts", "nearest-expert"]
    configs = [resolve("hopper-medium", preset="quick", arm=arm, seed=1) for arm in arms]
    asked = {(config.data.experts_id, config.data.num_experts, config.seed) for config in configs}
    assert len(asked) == 1
