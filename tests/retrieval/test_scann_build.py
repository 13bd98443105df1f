"""Keys coded in a stream are coded as ScaNN codes them; a stream that was broken off goes on."""

import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import Interrupted
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval import scann_build
from retrieve_rl.retrieval.build import IndexOptions, build_memory
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.retrieval.pieces import cut
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_codes import (
    Learned,
    code,
    columns,
    group_leaves,
    read_learned,
)
from retrieve_rl.retrieval.scann_config import parameters_for
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.signals import StopRequest

REORDERS = ["float32", "bfloat16", "int8"]
SILENT = Reporter(verbosity=-1)


@pytest.fixture(scope="module")
def keys():
    scale = np.arange(1, 17) ** -0.5
    return (np.random.default_rng(3).normal(size=(6000, 16)) * scale).astype(np.float32)


@pytest.mark.parametrize("reorder", REORDERS)
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_codes_are_those_that_scann_writes(keys, tmp_path, reorder, offset):
    keys = keys[:3000] + np.float32(offset)
    parameters = parameters_for(len(keys), keys.var(axis=0), reorder)
    ScannIndex.build(keys, parameters).save(tmp_path)
    coded = code(read_learned(tmp_path, parameters, 16), keys[:1000], reorder)
    assert coded.keys() == columns(parameters, 16).keys()
    for name, rows in coded.items():
        written = np.load(tmp_path / f"{name}.npy")[:1000]
        assert (rows.dtype, rows.shape) == (written.dtype, written.shape)
        # Of two that are equally near by rounding, the other may be taken.
        assert np.mean(np.isclose(rows, written, rtol=1e-6)) > (0.9999 if not offset else 0.99)


def test_a_constant_dimension_has_a_codeword_of_its_own(keys, tmp_path):
    keys = np.concatenate([keys[:2000], np.ones((2000, 3), np.float32)], axis=1)
    parameters = parameters_for(len(keys), keys.var(axis=0))
    ScannIndex.build(keys, parameters).save(tmp_path)
    coded = code(read_learned(tmp_path, parameters, 19), keys, "bfloat16")
    written = np.load(tmp_path / "datapoint_to_token.npy")
    assert np.mean(coded["datapoint_to_token"] == written) > 0.999


def test_of_many_leaves_most_keys_get_the_nearest_and_none_a_far_one(keys):
    centers, rest = keys[:3000], keys[3000:]
    words = jnp.zeros((16, 1, 16))
    learned = Learned(jnp.asarray(centers), group_leaves(centers), words, jnp.ones(16))
    leaves = code(learned, rest, "float32")["datapoint_to_token"]
    distances = ((rest[:, None] - centers) ** 2).sum(axis=-1)
    assert np.mean(leaves == distances.argmin(axis=1)) > 0.95
    chosen = distances[np.arange(len(rest)), leaves]
    assert chosen.mean() < 1.01 * distances.min(axis=1).mean()


@pytest.fixture
def small_steps(monkeypatch):
    """ScaNN sees 2,048 keys; the rest is coded in chunks of 1,000."""
    monkeypatch.setattr(scann_build, "LEARNED_FROM", 2048)
    monkeypatch.setattr(scann_build, "_CHUNK_ROWS", 1000)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("reorder", REORDERS)
def test_an_index_of_coded_keys_finds_what_scanns_own_finds(keys, tmp_path, reorder):
    (piece,) = cut(Rows(keys), len(keys))
    (tmp_path / "index").mkdir()
    coded, _ = scann_build.build_scann(
        piece,
        reorder,
        tmp_path / "index",
        codes=tmp_path / "codes",
        made_from={},
        reporter=SILENT,
        stop=StopRequest(),
    )
    assert (coded.num_keys, coded.parameters.num_leaves) == (6000, 110)
    whole = ScannIndex.build(keys, coded.parameters)
    truth = np.argsort(((keys[:200, None] - keys) ** 2).sum(axis=-1), axis=1)[:, :10]

    def recall(index):
        index = index.searching(num_leaves_to_search=15, reordering_num_neighbors=100)
        found = np.asarray(index.search(keys[:200], 10).indices)
        return np.mean([len(set(a) & set(b)) for a, b in zip(truth, found, strict=True)]) / 10

    assert recall(coded) > recall(whole) - 0.02 > 0.8


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
