"""Our index and its rivals over one number of keys: built, set to find enough, timed in turn."""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ask_faiss import AS_FAISS_CHOOSES, Faiss
from climb import ROUNDS, WANTED, Noted, Setting, System, climb, fastest

from retrieve_rl.processes import usable_cores
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.build import IndexOptions, build_memory
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.inner_product import extended_queries
from retrieve_rl.retrieval.memory import Memory, open_memory, retrieve
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.quality import recall_at_k, true_neighbors
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_config import learned_from
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.retrieval.scann_kernels import fastest_kernels
from retrieve_rl.signals import StopRequest

NUM_NEIGHBORS, TURNS = 10, 9
NUM_FASTEST = 3
"""Settings of a system that take turns, at most: a climb's timings are rough."""
SHARES_OF_LEAVES = tuple(0.0005 * 2**step for step in range(10))
REORDERINGS = (30, 50, 75, 110, 150, 250, 400, 700, 1200)
NPROBES = tuple(2**step for step in range(1, 11))
K_FACTORS = (3, 4, 5, 6, 8, 12, 20, 40, 80)
EF_SEARCHES = (20, 40, 80, 160, 320, 640, 1280, 2560)
FAISS_SYSTEMS = {
    "faiss_ivfpq_lean": "IVF{leaves},PQ{half}x4fsr,Refine(SQfp16)",
    "faiss_opq_lean": "OPQ{half},IVF{leaves},PQ{half}x4fsr,Refine(SQfp16)",
    "faiss_opq_lean_lists": "OPQ{half},IVF{twice},PQ{half}x4fsr,Refine(SQfp16)",
    "faiss_opq_lean_plain": "OPQ{half},IVF{leaves},PQ{half}x4fs,Refine(SQfp16)",
    "faiss_hnsw_lean": "HNSW10,SQ8",
    "faiss_hnsw": "HNSW16,Flat",
}
"""Factory strings; lean: no more bytes a key than ours; plain: codes of keys, not of residuals."""


class Scale:
    """The systems over one number of keys, and what was measured of each."""

    def __init__(self, keys_path: Path, queries: np.ndarray, faiss_python: str) -> None:
        self.keys_path, self.keys = keys_path, np.load(keys_path, mmap_mode="r")
        self.queries = queries
        self.truth = true_neighbors(self.keys, self.queries, NUM_NEIGHBORS + 1)
        self.faiss_python = faiss_python
        self.systems: dict[str, dict[str, Any]] = {}
        self.rivals: dict[str, list[tuple[Noted, Callable[[], float]]]] = {}

    def measure(self) -> dict[str, Any]:
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(dir=self.keys_path.parent))
            )
            memory = self._build_ours(folder / "memory")
            (shard,) = memory.index.shards
            assert isinstance(shard.index, ScannIndex)
            num_leaves = shard.index.parameters.num_leaves
            self._climb("ours", _of_scann(num_leaves, partial(self._ours, shard.index)))
            bare = self._build_bare(num_leaves)
            self._climb("scann", _of_scann(num_leaves, partial(self._bare, bare, self.queries)))
            self._with_kernels()
            self._as_built(memory)
            self._exact()  # before FAISS's indexes fill the memory
            self._faiss(folder, num_leaves, stack)
            self._in_turn()
            wrapping = self._wrapping(memory, shard.index)
            self.rivals.clear()  # they hold the indexes
        return {"num_leaves": num_leaves, "systems": self.systems, "wrapping_ratio": wrapping}

    def _build_ours(self, out: Path) -> Memory:
        values = {"row": np.arange(len(self.keys))}
        report = build_memory(
            Rows(self.keys, values=values),
            out,
            IndexOptions(kind="scann", wanted_recall=WANTED),
            reporter=Reporter(),
            stop=StopRequest(),
        )
        seconds = {name: report[name] for name in ("build_seconds", "tune_seconds")}
        self.systems["ours"] = {**seconds, "bytes": report["bytes"], "settings": []}
        return open_memory(out)

    def _build_bare(self, num_leaves: int) -> Any:
        from scann.scann_ops.py import scann_builder, scann_ops_pybind

        began = time.perf_counter()
        searcher = (
            scann_ops_pybind.builder(self.keys, NUM_NEIGHBORS, "squared_l2")
            .tree(
                num_leaves,
                10,
                training_sample_size=learned_from(num_leaves),
                random_init=False,
                min_partition_size=1,
            )
            .score_ah(2)
            .reorder(100, quantize=scann_builder.ReorderType.BFLOAT16)
            .build()
        )
        seconds = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            searcher.serialize(folder, relative_path=True)
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
        self.systems["scann"] = {"build_seconds": seconds, "bytes": size, "settings": []}
        return searcher

    def _climb(self, name: str, system: System) -> None:
        """Notes the system's settings; the fastest that find enough are to take turns."""
        noted = climb(system, self._recall)
        self.systems[name]["settings"] = noted
        for one in noted:
            print(_line(name, one), flush=True)
        self.rivals[name] = [
            (one, partial(_seconds_of, system, one["setting"]))
            for one in fastest(system, noted, NUM_FASTEST)
        ]

    def _with_kernels(self) -> None:
        """Bare ScaNN at the same settings, with the kernels that ours uses."""

        def faster(search: Callable[[], float]) -> float:
            with fastest_kernels():
                return search()

        name = "scann_with_our_kernels"
        facts = {fact: self.systems["scann"][fact] for fact in ("build_seconds", "bytes")}
        self.systems[name] = {**facts, "settings": []}
        self.rivals[name] = [(one, partial(faster, search)) for one, search in self.rivals["scann"]]

    def _ours(self, index: ScannIndex, setting: Setting) -> tuple[float, np.ndarray]:
        search = index.searching(**setting)
        return _timed(lambda: np.asarray(search.search(self.queries, NUM_NEIGHBORS).indices))

    def _bare(
        self, searcher: Any, queries: np.ndarray, setting: Setting
    ) -> tuple[float, np.ndarray]:
        leaves, candidates = setting["num_leaves_to_search"], setting["reordering_num_neighbors"]
        batch = -(-len(queries) // usable_cores())
        return _timed(
            lambda: searcher.search_batched_parallel(
                queries, NUM_NEIGHBORS, candidates, leaves, batch
            )[0]
        )

    def _as_built(self, memory: Memory) -> None:
        """Our memory with the search that its build chose, asked for values too."""
        ask = partial(self._retrieve, memory)
        one = self._note("ours_as_built", ask, self.systems["ours"], len(self.queries))
        self.rivals["ours_as_built"] = [(one, lambda: _timed(ask)[0])]

    def _retrieve(self, memory: Memory) -> np.ndarray:
        neighbors, _ = retrieve(memory, self.queries, NUM_NEIGHBORS)
        return np.asarray(neighbors.indices)

    def _faiss(self, folder: Path, num_leaves: int, stack: ExitStack) -> None:
        asked = folder / "queries.npy"
        np.save(asked, self.queries)
        for name, factory in FAISS_SYSTEMS.items():
            faiss = Faiss(self.faiss_python)
            stack.callback(faiss.close)
            text = factory.format(
                leaves=num_leaves, twice=2 * num_leaves, half=self.keys.shape[1] // 2
            )
            built = faiss.build(text, self.keys_path)
            if "_lean" in name and built["bytes"] > self.systems["ours"]["bytes"]:
                raise SystemExit(f"{text} takes {built['bytes']:,} bytes, more than ours")
            system, distances = _of_faiss(faiss, asked, has_lists="IVF" in factory)
            facts = {"factory": text, "distances": distances}
            self.systems[name] = {**built, **facts, "settings": []}
            self._climb(name, system)
            self.systems[name]["versions"] = faiss.versions

    def _exact(self) -> None:
        began = time.perf_counter()
        index = ExactIndex.build(np.asarray(self.keys))
        jax.block_until_ready(index.blocks)
        built = {"build_seconds": time.perf_counter() - began, "bytes": self.keys.nbytes}
        few = self.queries[:512]
        ask = lambda: np.asarray(index.search(few, NUM_NEIGHBORS).indices)
        self.systems["exact"]["at_wanted_recall"] = self._note("exact", ask, built, len(few))

    def _note(
        self, name: str, ask: Callable[[], np.ndarray], built: dict[str, Any], num_queries: int
    ) -> Noted:
        """A system with nothing to set."""
        ask()
        timed = [_timed(ask) for _ in range(ROUNDS)]
        rate = num_queries / statistics.median(seconds for seconds, _ in timed)
        recall = self._recall(timed[0][1])
        one: Noted = {"setting": {}, "recall_at_10": recall, "queries_per_second": rate}
        facts = {fact: built[fact] for fact in ("build_seconds", "bytes")}
        self.systems[name] = {**facts, "settings": [one]}
        print(_line(name, one), flush=True)
        return one

    def _in_turn(self) -> None:
        """Times every system at its fastest settings that find enough, in turn, and back again."""
        rivals = [(name, *one) for name, settings in self.rivals.items() for one in settings]
        seconds: list[list[float]] = [[] for _ in rivals]
        order = list(range(len(rivals)))
        for _ in range(TURNS):
            for number in order:
                time.sleep(0.05)  # Threads of the one before may still spin.
                search = rivals[number][2]
                search()  # The one before has taken the caches.
                seconds[number].append(search())
            order.reverse()
        for (name, one, _), times in zip(rivals, seconds, strict=True):
            rate = len(self.queries) / statistics.median(times)
            best = self.systems[name].get("at_wanted_recall")
            if best is None or rate > best["queries_per_second"]:
                self.systems[name]["at_wanted_recall"] = {**one, "queries_per_second": rate}

    def _wrapping(self, memory: Memory, index: ScannIndex) -> float:
        """The time of `retrieve` over that of the searcher inside, at the parameters it chose."""
        setting = {
            name: getattr(index, name)
            for name in ("num_leaves_to_search", "reordering_num_neighbors")
        }
        extended = extended_queries(self.queries - index.origin)
        ours = lambda: _timed(partial(self._retrieve, memory))[0]
        inside = lambda: self._bare(index.searcher, extended, setting)[0]
        ratios = []
        for _ in range(TURNS):
            # Each goes first in every other pair.
            with fastest_kernels():
                ratios.append(ours() / inside())
                ratios.append(1 / (inside() / ours()))
        return statistics.median(ratios)

    def _recall(self, rows: np.ndarray) -> float:
        found = Neighbors(rows.astype(np.int32), np.zeros(rows.shape, np.float32))
        truth = Neighbors(*(part[: len(rows)] for part in self.truth))
        return recall_at_k(found, truth, self.keys, self.queries[: len(rows)])


def _of_scann(num_leaves: int, search: Callable[[Setting], tuple[float, np.ndarray]]) -> System:
    depths = sorted({max(1, round(share * num_leaves)) for share in SHARES_OF_LEAVES})
    return System("num_leaves_to_search", depths, "reordering_num_neighbors", REORDERINGS, search)


def _of_faiss(faiss: Faiss, queries: Path, has_lists: bool) -> tuple[System, str]:
    """What can be set of an index, and how it computes distances: the faster way."""

    def search(distances: str, setting: Setting) -> tuple[float, np.ndarray]:
        return faiss.search(queries, NUM_NEIGHBORS, distances, **setting)

    if not has_lists:  # a graph multiplies no matrices
        as_it_is = partial(search, AS_FAISS_CHOOSES)
        return System("efSearch", EF_SEARCHES, None, (0,), as_it_is), AS_FAISS_CHOOSES
    # Where few lists are searched, finding them weighs most.
    quickest = {"nprobe": NPROBES[0], "k_factor_rf": K_FACTORS[0]}
    distances = faiss.faster_distances(queries, NUM_NEIGHBORS, **quickest)
    faster = partial(search, distances)
    return System("nprobe", NPROBES, "k_factor_rf", K_FACTORS, faster), distances


def _timed(search: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds of the search, and the rows it found."""
    began = time.perf_counter()
    found = search()
    return time.perf_counter() - began, found


def _seconds_of(system: System, setting: Setting) -> float:
    return system.search(setting)[0]


def _line(name: str, one: Noted) -> str:
    recall, rate = one["recall_at_10"], one["queries_per_second"]
    return f"{name:20} {one['setting']} recall {recall:.3f}, {rate:,.0f}/s"
