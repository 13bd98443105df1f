"""Rollouts in an environment whose every number is known."""

import gymnasium
import numpy as np
import pytest

from retrieve_rl.errors import DataError, Interrupted, MissingDependencyError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.rollout import Answer, check_environment, rollout
from retrieve_rl.reframe.windows import Normalizer
from retrieve_rl.signals import StopRequest

NAN_SEED = 13
NAN_AT_ONCE_SEED = 14
LIMIT = 8


class CountingEnv(gymnasium.Env):
    """Rewards 1, 2, 3, ...; ends at step `seed`; seed 13 breaks at its third step, 14 at once."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.seed, self.steps = seed, 0
        return np.array([float(seed), 0.0]), {}

    def step(self, action):
        assert np.all(np.abs(action) <= 1)
        self.steps += 1
        broken = (self.seed, self.steps) in ((NAN_SEED, 3), (NAN_AT_ONCE_SEED, 1))
        observation = np.array([float(self.seed), np.nan if broken else float(self.steps)])
        return observation, float(self.steps), self.steps == self.seed, False, {}


@pytest.fixture
def env_id():
    gymnasium.register("Counting-v0", CountingEnv, max_episode_steps=LIMIT)
    yield "Counting-v0"
    del gymnasium.registry["Counting-v0"]


class Recorder:
    """A policy that keeps its windows and always answers 2, beyond the action's bound."""

    def __init__(self):
        self.windows = []

    def __call__(self, window, step):
        assert step == len(self.windows)
        self.windows.append(type(window)(*(np.array(part) for part in window)))
        count = len(window.mask)
        measured = np.full(count, float(step))
        return Answer(np.full((count, 2), [2.0, 0.1 * step]), measured, measured + 1)


@pytest.fixture
def go(env_id):
    def go(seeds, *, max_steps=20, stop=None, **options):
        recorder = Recorder()
        rollouts = rollout(
            recorder,
            env_id=env_id,
            seeds=seeds,
            max_steps=max_steps,
            context_len=3,
            target_return=100.0,
            return_scale=10.0,
            normalizer=Normalizer(np.float32([1.0, 2.0]), np.float32([2.0, 4.0])),
            reporter=Reporter(verbosity=-1),
            stop=stop or StopRequest(),
            **options,
        )
        return rollouts, recorder.windows

    return go


def outcome(seed, length, terminated, status="ok", return_raw=None):
    return {
        "seed": seed,
        "return_raw": length * (length + 1) / 2 if return_raw is None else return_raw,
        "length": length,
        "terminated": terminated,
        "status": status,
    }


def test_episodes_end_by_themselves_by_the_limit_or_broken(go):
    rollouts, windows = go([5, NAN_SEED, 50, 1])
    assert rollouts.outcomes == [
        outcome(5, 5, True),
        outcome(NAN_SEED, 2, False, "non_finite"),
        outcome(50, LIMIT, False),
        outcome(1, 1, True),
    ]
    assert len(windows) == LIMIT
    assert rollouts.calls == LIMIT and rollouts.steps == 5 + 3 + LIMIT + 1
    assert all(np.isfinite(part).all() for window in windows for part in window)


def test_episodes_that_break_at_their_first_step(go):
    rollouts, windows = go([NAN_AT_ONCE_SEED] * 2)
    assert rollouts.outcomes == [outcome(NAN_AT_ONCE_SEED, 0, False, "non_finite")] * 2
    assert (rollouts.calls, rollouts.steps) == (len(windows), 2) == (1, 2)
    assert (rollouts.gate, rollouts.closeness) == (0.0, 1.0)


def test_the_limit_of_the_task_ends_what_still_runs(go):
    rollouts, windows = go([50], max_steps=4)
    assert rollouts.outcomes == [outcome(50, 4, False)] and len(windows) == 4


def test_the_return_to_go_falls_by_the_reward(go):
    _, windows = go([50])
    asked = [window.returns_to_go[0, -1] for window in windows]
    received = np.concatenate([[0], np.cumsum(np.arange(1, LIMIT))])
    np.testing.assert_allclose(asked, (100.0 - received) / 10.0)


def test_windows_hold_the_history_left_padded(go):
    _, windows = go([50])
    np.testing.assert_array_equal(
        [window.mask[0] for window in windows[:4]],
        [[0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 1]],
    )
    np.testing.assert_array_equal(windows[0].timesteps[0], [0, 0, 0])
    np.testing.assert_array_equal(windows[5].timesteps[0], [3, 4, 5])
    expected = np.stack([np.full(3, (50 - 1) / 2), (np.array([3, 4, 5]) - 2) / 4], axis=1)
    np.testing.assert_allclose(windows[5].observations[0], expected)
    # Actions are stored as played, clipped; the one asked for is not there yet.
    np.testing.assert_allclose(windows[5].actions[0], [[1, 0.3], [1, 0.4], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(windows[5].returns_to_go[0], [9.4, 9.0, 8.5])
    for part in windows[1][:3]:
        assert not part[0, 0].any()


def test_the_windows_are_those_of_training(go, make_episodes):
    """Acting and training see the same window of the same steps."""
    from retrieve_rl.reframe.windows import gather_window, step_table, window_rows

    _, windows = go([LIMIT])
    steps = np.arange(LIMIT)
    episodes = make_episodes(
        [LIMIT],
        observations=np.stack([np.full(LIMIT, float(LIMIT)), steps], axis=1),
        actions=np.stack([np.ones(LIMIT), 0.1 * steps], axis=1),
        rewards=steps + 1.0,
    )
    normalizer = Normalizer(np.float32([1.0, 2.0]), np.float32([2.0, 4.0]))
    table = step_table(episodes, normalizer, 10.0)
    rows, mask = window_rows(table, steps, 3)
    trained = gather_window(table, rows, mask)
    for step, window in enumerate(windows):
        np.testing.assert_array_equal(window.mask[0], trained.mask[step])
        np.testing.assert_array_equal(window.timesteps[0], trained.timesteps[step])
        np.testing.assert_allclose(window.observations[0], trained.observations[step])
        np.testing.assert_allclose(window.actions[0, :-1], trained.actions[step, :-1], rtol=1e-6)


def test_means_are_over_the_episodes_that_run(go):
    rollouts, _ = go([1, 3])
    # Steps taken: 0, 0, 1, 2.
    assert rollouts.gate == pytest.approx(3 / 4)
    assert rollouts.closeness == pytest.approx(7 / 4)


def test_episodes_do_not_depend_on_their_company(go):
    alone = go([5])[0].outcomes + go([7])[0].outcomes
    assert go([5, 7])[0].outcomes == alone


def test_a_stop_ends_the_rollout(go):
    with pytest.raises(Interrupted, match="SIGTERM; the trained policy is kept: run again"):
        go([50], stop=StopRequest(15))


def test_an_environment_of_a_package_that_is_not_there():
    with pytest.raises(MissingDependencyError, match="nowhere:Env-v0 cannot be made"):
        check_environment("nowhere:Env-v0", 2, 2)


def test_an_environment_that_the_data_does_not_fit(env_id):
    check_environment(env_id, 2, 2)
    for widths in ((3, 2), (2, 3)):
        with pytest.raises(DataError, match="observations of shape .2,. and actions of shape .2,."):
            check_environment(env_id, *widths)


def test_an_environment_that_is_not_there():
    with pytest.raises(MissingDependencyError, match="Nowhere-v0 cannot be made"):
        rollout(
            None, env_id="Nowhere-v0", seeds=[0], max_steps=1, context_len=1, target_return=0.0,
            return_scale=1.0, normalizer=None, reporter=Reporter(), stop=StopRequest(),
        )  # fmt: skip
