"""ScaNN's traps: builds that differ, pickles, moved folders, NaN."""

import hashlib
import sys

import numpy as np
import pytest

from retrieve_rl.errors import DataError, MissingDependencyError
from retrieve_rl.retrieval import scann_build
from retrieve_rl.retrieval.neighbors import nearest
from retrieve_rl.retrieval.scann_config import ScannParameters, block_widths
from retrieve_rl.retrieval.scann_index import ScannIndex


@pytest.fixture(scope="module")
def keys():
    scale = np.arange(1, 17) ** -0.5
    return (np.random.default_rng(3).normal(size=(4000, 16)) * scale).astype(np.float32)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("reorder", ["float32", "bfloat16", "int8"])
def test_two_builds_write_the_same_bytes(make_scann, keys, tmp_path, reorder):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        make_scann(keys, reorder).save(tmp_path / name)
    assert digests(tmp_path / "one") == digests(tmp_path / "other")
    text = b"".join(path.read_bytes() for path in (tmp_path / "one").iterdir())
    assert str(tmp_path).encode() not in text


@pytest.mark.parametrize("reorder", ["float32", "bfloat16", "int8"])
def test_recall_of_the_defaults(make_scann, keys, reorder):
    index = make_scann(keys, reorder)
    index = index.searching(num_leaves_to_search=20, reordering_num_neighbors=100)
    truth = np.asarray(nearest(keys, keys[:200], 10).indices)
    found = np.asarray(index.search(keys[:200], 10).indices)
    hits = [len(set(row) & set(other)) for row, other in zip(truth, found, strict=True)]
    assert np.mean(hits) / 10 > 0.9


def test_more_is_searched_where_more_is_asked_for(make_scann, keys):
    index = make_scann(keys).searching(num_leaves_to_search=1, reordering_num_neighbors=10)
    assert np.all(np.asarray(index.search(keys[:3], 4000).indices) >= 0)
    assert np.sum(np.asarray(index.search(keys[:3], 300).indices) >= 0) > 3 * 250


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_query_that_is_not_finite_is_refused(make_scann, keys, bad):
    queries = keys[:3].copy()
    queries[1, 4] = bad
    with pytest.raises(DataError, match="query matrix is not finite in row 1"):
        make_scann(keys[:50]).search(queries, 2)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda folder: (folder / "scann_docids.pkl").write_bytes(b"boom"), "is not a file of a"),
        (lambda folder: (folder / "scann_assets.pbtxt").unlink(), "lacks scann_assets"),
        (lambda folder: (folder / "origin.npy").unlink(), "lacks origin"),
        (lambda folder: (folder / "ah_codebook.pb").write_bytes(b"\x08"), "cannot read"),
    ],
)
def test_a_spoiled_folder_is_refused(make_scann, keys, tmp_path, spoil, message):
    index = make_scann(keys)
    index.save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        ScannIndex.load(tmp_path, index.parameters, 4000, 16)


def test_an_index_of_scann_needs_scann(make_scann, keys, tmp_path, monkeypatch):
    index = make_scann(keys)
    index.save(tmp_path)
    monkeypatch.setitem(sys.modules, "scann.scann_ops.py", None)
    with pytest.raises(MissingDependencyError, match="was built with ScaNN"):
        ScannIndex.load(tmp_path, index.parameters, 4000, 16)


def test_another_number_of_keys_is_refused(make_scann, keys, tmp_path):
    index = make_scann(keys)
    index.save(tmp_path)
    with pytest.raises(DataError, match="holds 4000 keys, its manifest says 4001"):
        ScannIndex.load(tmp_path, index.parameters, 4001, 16)


def test_blocks_follow_the_variances():
    assert block_widths(np.ones(8), 4) == (2, 2, 2, 2)
    assert block_widths(np.array([100.0, 1.0, 1.0, 1.0]), 2) == (1, 3)
    widths = block_widths(1.0 / np.arange(1, 65), 32)
    assert sum(widths) == 64 and len(widths) == 32
    assert widths == tuple(sorted(widths)) and widths[0] == 1 and widths[-1] == 3


def test_constant_dimensions_do_not_break_the_blocks():
    widths = block_widths(np.array([1.0, 0.0, 0.0, 0.5, 0.0]), 3)
    assert sum(widths) == 5 and len(widths) == 3


def test_constant_dimensions_cost_no_recall_in_int8(make_scann, keys):
    keys = keys[:2000] * np.float32(0.01)
    keys = np.concatenate([keys, np.full((2000, 2), 0.7, np.float32)], axis=1)
    index = make_scann(keys, "int8")
    index = index.searching(num_leaves_to_search=10**6, reordering_num_neighbors=500)
    truth = np.asarray(nearest(keys, keys[:200], 10).indices)
    found = np.asarray(index.search(keys[:200], 10).indices)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(truth, found, strict=True)]) > 9.5


def test_blocks_suited_to_the_variances_find_more(make_scann, keys, monkeypatch):
    keys = keys * np.arange(1, 17, dtype=np.float32) ** -0.5
    suited = block_widths(keys.var(axis=0), 8)
    truth = np.asarray(nearest(keys, keys[:400], 10).indices)

    def recall(widths):
        parameters = ScannParameters(num_leaves=63, block_widths=widths)
        monkeypatch.setattr(scann_build, "parameters_for", lambda *_: parameters)
        found = make_scann(keys)
        found = found.searching(num_leaves_to_search=63, reordering_num_neighbors=15)
        rows = np.asarray(found.search(keys[:400], 10).indices)
        return np.mean([len(set(a) & set(b)) for a, b in zip(truth, rows, strict=True)]) / 10

    assert recall(suited) > recall((2,) * 8) + 0.02


@pytest.mark.parametrize("reorder", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("rows", [900, 4000])
def test_far_from_the_origin_distances_are_as_good(make_scann, keys, reorder, rows):
    keys = keys[:rows]
    near, far = make_scann(keys, reorder), make_scann(keys + np.float32(100.0), reorder)
    found = far.search(keys[:50] + np.float32(100.0), 10)
    rows = np.asarray(found.indices)
    true = np.sum((keys[:50, None] - keys[rows]) ** 2, axis=-1)
    error = np.abs(np.asarray(found.distances) - true).max()
    there = np.asarray(near.search(keys[:50], 10).distances)
    assert error < {"float32": 1e-3, "bfloat16": 0.05, "int8": 0.2}[reorder]
    np.testing.assert_allclose(found.distances, there, atol=0.1)
