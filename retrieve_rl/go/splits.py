"""Training, validation and test games; whole games, and the same ones whatever else is read."""

import numpy as np
from jaxtyping import Bool, Float, Int8, UInt8

from retrieve_rl.go.digests import digest_words, scattered, shares
from retrieve_rl.retrieval import groups

TRAINING, VALIDATION, TEST = 0, 1, 2
ADDED = 3
"""Games put into a retrieval set later; nothing is fitted on them."""


def split_games(
    digests: UInt8[np.ndarray, "G 16"],
    may_be_held_out: Bool[np.ndarray, " G"],
    *,
    validation_share: float = 0.05,
    test_share: float = 0.05,
) -> Int8[np.ndarray, " G"]:
    """TRAINING, VALIDATION or TEST for each game.

    Decided by the game's own digest, so that it stays when games are added or their order changes.
    Games that may not be held out are for training: with the same games held out of every set of
    records, results on different sets can be compared.

    Args:
      validation_share, test_share: expected shares of the games that may be held out.
    """
    # Sampling of positions draws from the digest, too: scatter once more, to be independent of it.
    draws = shares(scattered(~digest_words(digests)))
    split = np.full(len(digests), TRAINING, np.int8)
    split[draws < validation_share + test_share] = TEST
    split[draws < validation_share] = VALIDATION
    split[~may_be_held_out] = TRAINING
    return split


def second_half(digests: UInt8[np.ndarray, "G 16"]) -> Bool[np.ndarray, " G"]:
    """Which games are in the second of two halves, each the retrieval set of the other.

    Decided by the game's own digest: a game stays in its half whatever else is read.
    """
    return groups.second_half(digest_words(digests).view(np.int64), seed=0)


def nested_draws(digests: UInt8[np.ndarray, "G 16"]) -> Float[np.ndarray, " G"]:
    """A number in [0, 1) for each game: those below f are a share f of the games, drawn evenly.

    A smaller share is part of every larger one. Independent of splits and halves.
    """
    return shares(scattered(~scattered(~digest_words(digests))))
