"""What makes two records the same game: its setup and its moves, up to the board's symmetries."""

import hashlib

import numpy as np
from jaxtyping import UInt8

from retrieve_rl.go.sgf import Game
from retrieve_rl.go.symmetries import IMAGES, NUM_SYMMETRIES, turn_boards

DIGEST_BYTES = 16
_TRANSLATIONS = tuple(bytes(images.tolist()).ljust(256, b"\xff") for images in IMAGES)
_END = b"\xfe"


def game_digest(game: Game) -> bytes:
    """16 bytes that are equal for games with the same setup, first player and moves, or with the
    mirror images of them; komi, result and names do not count."""
    images = []
    for table in _TRANSLATIONS:
        black, white = game.black, game.white
        if black or white:  # in few games, and sorting takes most of the time
            black, white = (bytes(sorted(points.translate(table))) for points in (black, white))
        images.append(_END.join((black, white, game.moves.translate(table))))
    canonical = bytes((game.first_color,)) + min(images)
    return hashlib.blake2b(canonical, digest_size=DIGEST_BYTES).digest()


def position_digest(stones: UInt8[np.ndarray, "81"], to_move: int) -> bytes:
    """16 bytes that are equal for positions with the same stones and player to move, or with the
    mirror images of them."""
    canonical = min(bytes(turn_boards(stones, symmetry)) for symmetry in range(NUM_SYMMETRIES))
    return hashlib.blake2b(bytes((to_move,)) + canonical, digest_size=DIGEST_BYTES).digest()


def digest_words(digests: UInt8[np.ndarray, "G 16"]) -> np.ndarray:
    """[G] uint64: the first half of each digest as a number, the same on every machine."""
    return np.ascontiguousarray(digests[:, :8]).view("<u8").ravel().astype(np.uint64)


def scattered(words: np.ndarray) -> np.ndarray:
    """uint64 -> uint64 that look independent of each other and of the argument.

    The last step of splitmix64 (S. Vigna, public domain).
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def shares(words: np.ndarray) -> np.ndarray:
    """uint64 -> float64 in [0, 1)."""
    return (words >> np.uint64(11)) * 2.0**-53
