"""Small indexes of every kind, and memories to ask."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.build import IndexOptions, build_memory
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.keys import extent_of
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.retrieval.pieces import cut
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_build import build_scann
from retrieve_rl.retrieval.sharded import Shard, ShardedIndex
from retrieve_rl.signals import StopRequest

SILENT = Reporter(verbosity=-1)


def exact(keys):
    return ExactIndex.build(keys)


def scann_of(keys, reorder="bfloat16"):
    (piece,) = cut(Rows(keys), len(keys))
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "index"
        files.mkdir()
        index, _ = build_scann(
            piece,
            extent_of(keys, "keys"),
            reorder,
            files,
            codes=Path(folder) / "codes",
            made_from={},
            reporter=SILENT,
            stop=StopRequest(),
        )
    return index


@pytest.fixture(scope="session")
def make_scann():
    """make_scann(keys, reorder): a ScaNN index, built and opened."""
    return scann_of


def scann(keys):
    """Searches every leaf and scores everything again, so that its answers are exact."""
    index = scann_of(keys, "float32")
    return index.searching(num_leaves_to_search=10**6, reordering_num_neighbors=len(keys))


def sharded(keys):
    """An exact shard of the first third, and the others' rows, shuffled, in ScaNN."""
    if len(keys) < 2:
        return ShardedIndex((Shard(exact(keys)),))
    third = max(1, len(keys) // 3)
    others = np.random.default_rng(1).permutation(np.arange(third, len(keys))).astype(np.int32)
    return ShardedIndex((Shard(exact(keys[:third])), Shard(scann(keys[others]), others)))


MAKERS = {"exact": exact, "scann": scann, "sharded": sharded}


@pytest.fixture(scope="session", params=MAKERS)
def make_index(request):
    """make_index(keys): an index whose search is exhaustive; once for every class."""
    return MAKERS[request.param]


@pytest.fixture
def make_memory_at(tmp_path):
    """make_memory_at("a", keys, values=..., groups=..., kind=...): built, verified and opened."""

    def make(name, keys, *, values=None, groups=None, second_half=None, **options):
        rows = Rows(np.asarray(keys, np.float32), values or {}, groups, second_half)
        build_memory(
            rows, tmp_path / name, IndexOptions(**options), reporter=SILENT, stop=StopRequest()
        )
        return open_memory(tmp_path / name)

    return make
