"""Keys coded in a stream are coded as ScaNN codes them; a stream that was broken off goes on."""

import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import Interrupted
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval import scann_build
from retrieve_rl.retrieval.build import IndexOptions, build_memory
from retrieve_rl.retrieval.keys import extent_of
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_codes import code, columns
from retrieve_rl.retrieval.scann_config import ScannParameters, parameters_for
from retrieve_rl.retrieval.scann_learning import learn
from retrieve_rl.signals import StopRequest

REORDERS = ["float32", "bfloat16", "int8"]
SILENT = Reporter(verbosity=-1)


@pytest.fixture(scope="module")
def keys():
    scale = np.arange(1, 17) ** -0.5
    return (np.random.default_rng(3).normal(size=(6000, 16)) * scale).astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_codes_are_those_that_scann_writes(keys, tmp_path, offset):
    """For keys of one leaf: ScaNN's own codes of what it learned its codewords from."""
    keys = keys[:3000] + np.float32(offset)
    parameters = ScannParameters(num_leaves=1, block_widths=(1, 1, 2, 2, 3, 3, 4))
    coded = code(
        learn(keys, parameters, tmp_path, extent=extent_of(keys, "keys")), keys, parameters
    )
    written = np.load(tmp_path / "hashed_dataset.npy")
    assert coded["hashed_dataset"].shape == written.shape and len(written) == 3000
    assert np.all(coded["datapoint_to_token"] == 0)
    # ScaNN has learned without norms. Of two equally near by rounding, the other may be taken.
    assert np.mean(coded["hashed_dataset"][:, 3:] == written[:, 3:]) > 0.999


@pytest.mark.parametrize("reorder", REORDERS)
def test_columns_are_those_that_scann_writes(keys, tmp_path, reorder):
    parameters = parameters_for(len(keys), keys.var(axis=0), reorder)
    coded = code(
        learn(keys, parameters, tmp_path, extent=extent_of(keys, "keys")), keys[:300], parameters
    )
    types = columns(parameters, 16)
    assert coded.keys() == types.keys()
    for name, rows in coded.items():
        written = np.load(tmp_path / f"{name}.npy")
        assert (rows.dtype, rows.shape[1:]) == (types[name].dtype, types[name].shape)
        assert (rows.dtype, rows.shape[1:]) == (written.dtype, written.shape[1:])


@pytest.mark.parametrize("reorder", REORDERS)
def test_norms_are_those_of_the_keys_as_they_are_kept(keys, tmp_path, reorder):
    parameters = parameters_for(len(keys), keys.var(axis=0), reorder)
    outlier = 50.0 * keys[:1]
    extent = extent_of(np.concatenate([keys, outlier]), "keys")
    learned = learn(keys, parameters, tmp_path, extent=extent)
    name = list(columns(parameters, 16))[-1]
    kept = code(learned, np.concatenate([keys[:500], outlier]), parameters)[name]
    if reorder == "bfloat16":
        kept = (kept.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    kept = kept.astype(np.float64) / np.asarray(learned.multipliers)
    far = outlier[0] - np.asarray(learned.origin)
    np.testing.assert_allclose(kept[-1, 3:], far, rtol=0, atol=np.max(np.abs(far)) / 250)
    norms = -0.5 * np.sum(kept[:, 3:] ** 2, axis=1)
    tolerance = {"float32": 1e-6, "bfloat16": 2.0**-15, "int8": 2e-3}[reorder]
    np.testing.assert_allclose(kept[:, :3].sum(axis=1), norms, rtol=tolerance, atol=tolerance)


def test_codes_stand_for_distances_as_seen_from_the_leaf(keys, tmp_path):
    """q . (c + r') + n is (|q|^2 - |q - k|^2) / 2 + (q - c) . (r' - r), but for the levels of n."""
    parameters = parameters_for(len(keys), keys.var(axis=0), "float32")
    learned = learn(keys, parameters, tmp_path, extent=extent_of(keys, "keys"))
    coded = code(learned, keys[:400], parameters)
    leaves, codes = coded["datapoint_to_token"], coded["hashed_dataset"]
    centers, words = np.asarray(learned.leaves.centers)[leaves], np.asarray(learned.codewords)
    coded_residuals = sum(words[codes[:, 3 + block], block] for block in range(words.shape[1]))
    levels = np.asarray(learned.norm_levels)
    norms = -0.5 * np.sum(centers**2, axis=1)
    norms += sum(levels[block][codes[:, block]] for block in range(3))
    key, query = keys[:400] - np.asarray(learned.origin), keys[5000] - np.asarray(learned.origin)
    said = (centers + coded_residuals) @ query + norms
    residuals = key - centers
    true = 0.5 * (query @ query - np.sum((query - key) ** 2, axis=1))
    error = np.sum((query - centers) * (coded_residuals - residuals), axis=1)
    # A norm beyond the outermost level is coded as that.
    assert np.median(np.abs(said - true - error)) < 0.01 * np.std(true)
    assert np.median(np.abs(said - true)) > 0.03 * np.std(true)


@pytest.fixture
def small_steps(keys, monkeypatch):
    """ScaNN learns from 2,048 keys; all are coded in chunks of 1,000."""
    monkeypatch.setattr(scann_build, "learned_from", lambda num_leaves: 2048)
    monkeypatch.setattr(scann_build, "_CHUNK_BYTES", 1000 * 4 * keys.shape[1])


@pytest.mark.parametrize("reorder", REORDERS)
def test_an_index_learned_from_a_third_finds_what_one_learned_from_all_finds(
    request, make_scann, keys, reorder
):
    truth = np.argsort(((keys[:200, None] - keys) ** 2).sum(axis=-1), axis=1)[:, :10]

    def recall(index):
        assert (index.num_keys, index.parameters.num_leaves) == (6000, 219)
        index = index.searching(num_leaves_to_search=30, reordering_num_neighbors=100)
        found = np.asarray(index.search(keys[:200], 10).indices)
        return np.mean([len(set(a) & set(b)) for a, b in zip(truth, found, strict=True)]) / 10

    whole = recall(make_scann(keys, reorder))
    request.getfixturevalue("small_steps")
    assert recall(make_scann(keys, reorder)) > whole - 0.02 > 0.8


@pytest.mark.usefixtures("small_steps")
def test_coding_goes_on_after_its_last_chunk(keys, tmp_path):
    class StopsWhenCoding(Reporter):
        def track(self, title, total, *, start=0):
            starts.append(start)
            stop.signal_number = None if start else 15
            return super().track(title, total, start=start)

    rows = Rows(keys, {"row": np.arange(6000)})
    options = IndexOptions(kind="scann")
    whole = build_memory(rows, tmp_path / "whole", options, reporter=SILENT, stop=StopRequest())
    starts, stop = [], StopRequest()
    reporter = StopsWhenCoding(verbosity=-1)
    with pytest.raises(Interrupted, match="0 of 6000 rows are kept"):
        build_memory(rows, tmp_path / "m", options, reporter=reporter, stop=stop)
    with pytest.raises(Interrupted, match="1000 of 6000 rows"):
        build_memory(rows, tmp_path / "m", options, reporter=reporter, stop=OneChunk())
    build_memory(rows, tmp_path / "m", options, reporter=reporter, stop=StopRequest())
    assert starts == [0, 0, 1000]
    manifests = [artifacts.verify(tmp_path / name) for name in ("whole", "m")]
    assert manifests[0].files == manifests[1].files
    memory = open_memory(tmp_path / "m")
    assert memory.manifest.metadata["report"]["recall_at_10"] == whole["recall_at_10"]
    assert not (tmp_path / ".m.shards").exists()


class OneChunk(StopRequest):
    """A signal that comes with the second chunk of keys."""

    def raise_if_requested(self, advice):
        if advice.startswith("1000 of"):
            self.signal_number = 15
        super().raise_if_requested(advice)
