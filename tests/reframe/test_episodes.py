"""Episodes: returns by hand, selection, and what is refused."""

import dataclasses

import numpy as np
import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.reframe.episodes import build_episodes, check, returns_to_go


def three_episodes():
    return build_episodes(
        dataset_id="test/three-v0",
        family="minari",
        env_id="",
        recipe="test/three-v0",
        observations=np.arange(12.0).reshape(6, 2),
        actions=np.arange(6.0).reshape(6, 1) / 10,
        rewards=np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        offsets=np.array([0, 2, 3, 6]),
        terminated=np.array([True, False, True]),
    )


def test_returns_by_hand():
    episodes = three_episodes()
    assert (episodes.num_episodes, episodes.num_steps) == (3, 6)
    np.testing.assert_array_equal(episodes.lengths, [2, 1, 3])
    np.testing.assert_array_equal(episodes.returns, [3, 3, 15])
    np.testing.assert_array_equal(returns_to_go(episodes), [3, 2, 3, 15, 11, 6])
    assert returns_to_go(episodes).dtype == np.float32


def test_returns_to_go_does_not_lose_digits_over_long_data():
    rewards = np.full(200_000, 0.1, dtype=np.float32)
    episodes = build_episodes(
        dataset_id="x", family="d4rl", env_id="", recipe="x",
        observations=np.zeros((200_000, 1)), actions=np.zeros((200_000, 1)), rewards=rewards,
        offsets=np.arange(0, 200_001, 1000), terminated=np.zeros(200),
    )  # fmt: skip
    found = returns_to_go(episodes).reshape(200, 1000)
    np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape))
    np.testing.assert_array_equal(found[:, -1], np.float32(0.1))


def test_select_keeps_order_and_has_its_own_digest():
    episodes = three_episodes()
    chosen = episodes.select([2, 0])
    np.testing.assert_array_equal(chosen.rewards, [4, 5, 6, 1, 2])
    np.testing.assert_array_equal(chosen.offsets, [0, 3, 5])
    np.testing.assert_array_equal(chosen.observations[3], [0, 1])
    np.testing.assert_array_equal(chosen.terminated, [True, True])
    check(chosen)
    assert chosen.sha256 != episodes.sha256
    assert episodes.select([0, 1, 2]).sha256 == episodes.sha256


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"offsets": np.array([0])}, "no whole episode"),
        ({"offsets": np.array([0, 2, 2, 6])}, "episode 1 has 0 steps"),
        ({"offsets": np.array([0, 2, 3, 5])}, "expected 0 to 6"),
        ({"terminated": np.array([True])}, "terminated has shape"),
        ({"actions": np.zeros((5, 1), np.float32)}, "actions has shape"),
        ({"observations": np.zeros(6, np.float32)}, "observations has shape"),
        (
            {"observations": np.where(np.arange(12).reshape(6, 2) == 9, np.nan, 0)},
            r"observations row 4 \(episode 2, step 1\) is not finite",
        ),
        (
            {"rewards": np.array([0, 0, np.inf, 0, 0, 0])},
            r"rewards row 2 \(episode 1, step 0\) is not finite: inf",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused(changes, reason):
    check(three_episodes())
    with pytest.raises(DataError, match=reason):
        check(dataclasses.replace(three_episodes(), **changes))
