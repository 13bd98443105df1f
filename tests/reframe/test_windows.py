"""Windows: left-padded, inside one episode, drawn in proportion to episode length."""

import jax
import jax.numpy as jnp
import numpy as np

from retrieve_rl.reframe.windows import (
    Counts,
    concatenate,
    fit_normalizer,
    gather_window,
    sample_rows,
    step_table,
    window_rows,
)

KEYS, OTHER_KEYS = (tuple(jax.random.split(jax.random.key(seed))) for seed in (0, 1))


def windows(table, last_rows, context_len):
    rows, mask = window_rows(table, jnp.asarray(last_rows), context_len)
    return gather_window(jax.device_put(table), rows, mask)


def test_short_histories_are_padded_on_the_left(make_table):
    table = make_table([3, 5])
    window = windows(table, [0, 2, 3, 7], 4)
    np.testing.assert_array_equal(
        window.mask, [[0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]]
    )
    np.testing.assert_array_equal(
        window.timesteps, [[0, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0, 0], [1, 2, 3, 4]]
    )
    np.testing.assert_array_equal(window.observations[1, 1:], table.observations[:3])
    np.testing.assert_array_equal(window.actions[3], table.actions[4:8])
    np.testing.assert_array_equal(window.returns_to_go[2, -1], table.returns_to_go[3])
    for part in window[:3]:
        assert not np.any(np.asarray(part)[~np.asarray(window.mask)])


def test_a_window_never_crosses_an_episode_and_its_last_step_is_real(make_table):
    table = make_table([1, 7, 2, 30])
    rows, mask = map(np.asarray, window_rows(table, jnp.arange(40), 6))
    assert mask[:, -1].all()
    np.testing.assert_array_equal(rows[:, -1], np.arange(40))
    assert np.all(table.trajectories[rows] == table.trajectories[:, None])
    np.testing.assert_array_equal(mask.sum(axis=1), np.minimum(table.timesteps + 1, 6))
    consecutive = np.diff(rows, axis=1)[mask[:, :-1]]
    assert np.all(consecutive == 1)


def test_longer_episodes_are_drawn_more_often(make_table):
    table = make_table([10, 30, 60])
    rows = sample_rows(KEYS, Counts(100, 0), Counts(20_000, 0))
    shares = np.bincount(table.trajectories[rows]) / 20_000
    np.testing.assert_allclose(shares, [0.1, 0.3, 0.6], atol=0.015)


def test_experts_come_first_and_in_their_share():
    table, batch = Counts(50, 7), Counts(100, 300)
    rows = np.asarray(sample_rows(KEYS, table, batch))
    assert set(rows[:300]) == set(range(50, 57)) and set(rows[300:]) <= set(range(50))
    assert np.all(np.asarray(sample_rows(OTHER_KEYS, table, Counts(400, 0))) < 50)
    again = np.asarray(sample_rows(KEYS, table, batch))
    other = np.asarray(sample_rows(OTHER_KEYS, table, batch))
    np.testing.assert_array_equal(rows, again)
    assert np.any(rows != other)


def test_expert_and_data_rows_are_drawn_apart():
    rows = sample_rows(KEYS, Counts(1000, 1000), Counts(1000, 1000))
    rows = np.asarray(rows)
    assert abs(np.corrcoef(rows[:1000], rows[1000:])[0, 1]) < 0.15


def test_standardization_has_a_floor(rng):
    observations = np.stack([rng.normal(5, 2, 1000), np.full(1000, 3.0)], axis=1)
    normalizer = fit_normalizer(observations.astype(np.float32))
    standardized = normalizer(observations)
    np.testing.assert_allclose(standardized[:, 0].mean(), 0, atol=1e-4)
    np.testing.assert_allclose(standardized[:, 0].std(), 1, atol=1e-4)
    assert np.isfinite(standardized).all() and standardized.dtype == np.float32
    np.testing.assert_array_equal(normalizer.std[1], np.float32(1e-3))


def test_statistics_of_a_long_column_keep_their_digits():
    column = np.full((1_000_000, 1), 1000.1, np.float32)
    column[::2] += 0.5
    normalizer = fit_normalizer(column)
    np.testing.assert_allclose(normalizer.mean, 1000.35, rtol=1e-6)
    np.testing.assert_allclose(normalizer.std, 0.25, rtol=1e-3)


def test_step_tables_are_labeled_and_scaled(make_episodes):
    episodes = make_episodes([2, 3], rewards=np.arange(1.0, 6.0))
    table = step_table(episodes, fit_normalizer(episodes.observations), 2.0)
    np.testing.assert_allclose(table.returns_to_go, [1.5, 1.0, 6.0, 4.5, 2.5])
    np.testing.assert_array_equal(table.timesteps, [0, 1, 0, 1, 2])
    np.testing.assert_array_equal(table.trajectories, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(table.actions, episodes.actions)


def test_joined_tables_keep_counting(make_table):
    first, second = make_table([2, 3]), make_table([4], seed=1)
    joined = concatenate([first, second])
    assert joined.num_steps == 9
    np.testing.assert_array_equal(joined.trajectories, [0, 0, 1, 1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(joined.actions[5:], second.actions)
