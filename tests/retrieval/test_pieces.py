"""Which rows a shard gets, and the pass over all keys."""

import numpy as np
import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.retrieval import keys as keys_module
from retrieve_rl.retrieval.pieces import cut, digest_of, survey
from retrieve_rl.retrieval.rows import Rows


def numbered(count):
    return np.arange(count, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)


def test_pieces_are_nearly_equal_and_follow_one_another():
    pieces = cut(Rows(numbered(10)), 4)
    assert [piece.members for piece in pieces] == [range(0, 3), range(3, 6), range(6, 10)]
    assert [piece.rows_from(100) for piece in pieces] == [100, 103, 106]
    np.testing.assert_array_equal(pieces[1].take(1, 3)[:, 0], [4, 5])


def test_each_half_is_cut_for_itself():
    half = np.array([False, True, True, False, True, False, True])
    pieces = cut(Rows(numbered(7), second_half=half), 3)
    assert [(piece.half, list(piece.members)) for piece in pieces] == [
        (0, [0, 3, 5]),
        (1, [1, 2]),
        (1, [4, 6]),
    ]
    np.testing.assert_array_equal(pieces[2].rows_from(100), [104, 106])
    np.testing.assert_array_equal(pieces[0].take(1, 3)[:, 0], [3, 5])


def test_a_sample_reaches_from_end_to_end_and_holds_no_row_twice():
    (piece,) = cut(Rows(numbered(5000)), 5000)
    np.testing.assert_array_equal(piece.sample(5000), piece.keys)
    sampled = piece.sample(1024)[:, 0]
    assert len(sampled) == len(set(sampled)) == 1024
    assert sampled[0] == 0 and sampled[-1] == 4999


def test_the_first_row_that_is_not_finite_is_named(monkeypatch):
    monkeypatch.setattr(keys_module, "_CHUNK_BYTES", 10 * 2 * 4)
    keys = np.ones((35, 2), np.float32)
    keys[[23, 31], 1] = np.inf
    with pytest.raises(DataError, match="row 23;"):
        survey(Rows(keys))


def test_the_digest_depends_on_the_bytes_and_the_shape_not_on_the_chunks(rng, monkeypatch):
    keys = rng.normal(size=(60, 4)).astype(np.float32)
    whole = survey(Rows(keys)).digest
    assert whole == digest_of(keys) != digest_of(keys.reshape(30, 8))
    monkeypatch.setattr(keys_module, "_CHUNK_BYTES", 7 * 4 * 4)
    assert survey(Rows(keys)).digest == whole
    keys[-1, -1] += 1
    assert survey(Rows(keys)).digest != whole
