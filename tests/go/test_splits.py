"""Splits by game that stay when games are added."""

import numpy as np

from retrieve_rl.go.splits import TEST, TRAINING, VALIDATION, split_games


def digests(seed, number):
    return np.random.default_rng(seed).integers(0, 256, (number, 16), dtype=np.uint8)


def test_shares_are_kept():
    split = split_games(digests(0, 20_000), np.ones(20_000, bool))
    np.testing.assert_allclose(np.bincount(split) / 20_000, [0.9, 0.05, 0.05], atol=0.006)
    split = split_games(
        digests(0, 20_000), np.ones(20_000, bool), validation_share=0.0, test_share=0.3
    )
    assert set(split.tolist()) == {TRAINING, TEST} and abs((split == TEST).mean() - 0.3) < 0.02


def test_a_game_keeps_its_part_when_others_come():
    first, others = digests(1, 500), digests(2, 3000)
    alone = split_games(first, np.ones(500, bool))
    mixed = np.concatenate([others, first[::-1]])
    together = split_games(mixed, np.arange(3500) >= 3000)
    np.testing.assert_array_equal(together[3000:][::-1], alone)
    assert (together[:3000] == TRAINING).all()
    assert {TRAINING, VALIDATION, TEST} == set(alone.tolist())


def test_the_split_of_the_bundled_games_never_changes(bundled):
    split = split_games(bundled.games.digests, np.ones(len(bundled.games), bool))
    assert np.bincount(split).tolist() == [4017, 214, 207]
