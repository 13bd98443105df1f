"""Recall against queries a second, build seconds and bytes a key: ours, bare ScaNN, FAISS, exact.

One and five million keys, synthetic or rows of a matrix of one's own (`--keys`), one batch of
queries that are not among them, all systems in one run on the same cores and with the same number
of leaves: ours; bare ScaNN in the configuration of its own builder (blocks of two dimensions);
FAISS, in processes of its own, as it is mostly set up, which needs more memory than ours, and at no
more. Each climbs from quick to thorough settings; then the fastest of each that finds enough take
turns, and their medians are compared. What our wrapping costs is measured apart: our index and the
searcher inside it answer in turn.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_keys
from worker import REPOSITORY, Worker

from retrieve_rl import artifacts
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.inner_product import extended_queries
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.pieces import cut
from retrieve_rl.retrieval.quality import recall_at_k, true_neighbors
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_build import build_scann
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.signals import StopRequest

DIM, NUM_QUERIES, NUM_NEIGHBORS, ROUNDS, WANTED = 64, 2000, 10, 5, 0.95
ENOUGH = 0.98
"""Recall beyond which a system is not asked to be more thorough."""
SHARES_OF_LEAVES = (
    *(0.001, 0.002, 0.0035, 0.005, 0.007, 0.01, 0.014, 0.017, 0.02),
    *(0.03, 0.04, 0.055, 0.075, 0.1, 0.14, 0.2),
)
REORDERINGS = (50, 75, 110, 150, 250)
NPROBES = (2, 3, 5, 7, 10, 14, 20, 28, 40, 48, 56, 80, 120, 180, 260, 400, 600)
Rung = list[dict[str, float]]
IVFPQ_LADDER: list[Rung] = [
    [{"nprobe": nprobe, "k_factor_rf": factor} for factor in (3, 5, 10, 20)] for nprobe in NPROBES
]
HNSW_LADDER: list[Rung] = [[{"efSearch": ef}] for ef in (20, 40, 80, 160, 320, 640)]
FAISS_SYSTEMS = {
    "faiss_ivfpq": ("IVF{leaves},PQ{half}x4fsr,RFlat", IVFPQ_LADDER),
    "faiss_hnsw": ("HNSW16,Flat", HNSW_LADDER),
    "faiss_ivfpq_lean": ("IVF{leaves},PQ{half}x4fsr,Refine(SQfp16)", IVFPQ_LADDER),
    "faiss_hnsw_lean": ("HNSW8,SQ8", HNSW_LADDER),
}
"""Factory strings, and settings from quick to thorough; lean: no more bytes a key than ours."""
OWN_GAME = 150
"""Rows of a matrix of one's own left out on both sides of a query: those of its own game."""

SearchFn = Callable[[], np.ndarray]


def synthetic(num_keys: int, work: Path) -> tuple[Path, np.ndarray]:
    """The file of drawn keys, written where it is not there, and queries for them."""
    path = work / f"keys-{num_keys}.npy"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        synthetic_keys.write_keys(path, num_keys, DIM)
    return path, synthetic_keys.queries(NUM_QUERIES, num_keys, DIM)


def drawn_from(source: Path, num_keys: int, work: Path) -> tuple[Path, np.ndarray]:
    """A file of `num_keys` rows spread over a matrix, and rows between them as queries.

    Rows lie game after game, and neighbors from a query's own game would be too easy to find: the
    rows around it are left out.
    """
    rows = np.load(source, mmap_mode="r")
    asked = np.linspace(OWN_GAME, len(rows) - OWN_GAME - 1, NUM_QUERIES).astype(np.int64)
    free = np.ones(len(rows), bool)
    for row in asked:
        free[row - OWN_GAME : row + OWN_GAME + 1] = False
    others = np.flatnonzero(free)
    if len(others) < num_keys:
        raise SystemExit(f"{source} has {len(others):,} rows apart from the queries' games")
    taken = others[np.arange(num_keys) * len(others) // num_keys]
    path = work / f"drawn-{num_keys}.npy"
    work.mkdir(parents=True, exist_ok=True)
    np.save(path, rows[taken])
    return path, np.asarray(rows[asked])


class Scale:
    """The systems over one number of keys, and what was measured of each."""

    def __init__(self, keys_path: Path, queries: np.ndarray, faiss_python: str) -> None:
        self.keys_path, self.keys = keys_path, np.load(keys_path, mmap_mode="r")
        self.queries = queries
        self.truth = true_neighbors(self.keys, self.queries, NUM_NEIGHBORS + 1)
        self.faiss_python = faiss_python
        self.num_leaves = 0
        self.systems: dict[str, dict[str, Any]] = {}
        self.rivals: dict[str, Callable[[], float]] = {}

    def measure(self) -> dict[str, Any]:
        ours, bytes_of_ours, seconds = _build_ours(self.keys)
        self._built("ours", seconds, bytes_of_ours)
        self.num_leaves = ours.parameters.num_leaves
        began = time.perf_counter()
        bare, bytes_of_bare = _bare_scann(self.keys, self.num_leaves)
        self._built("scann", time.perf_counter() - began, bytes_of_bare)
        settings = [
            *self._climb("ours", partial(self._ours, ours)),
            *self._climb("scann", partial(self._bare, bare)),
        ]
        self._time(settings)
        for name, setting, search in settings:
            if setting == self._fastest(name):
                self.rivals[name] = partial(_time_alone, search)
        with ExitStack() as stack:
            self._faiss(stack)
            self._exact()
            self._in_turn()
        return {"systems": self.systems, "wrapping_ratio": self._wrapping(ours)}

    def _fastest(self, name: str) -> dict[str, float] | None:
        """The fastest setting that finds enough; None where none does."""
        enough = [
            noted for noted in self.systems[name]["settings"] if noted["recall_at_10"] >= WANTED
        ]
        if not enough:
            return None
        setting: dict[str, float] = max(enough, key=itemgetter("queries_per_second"))["setting"]
        return setting

    def _in_turn(self) -> None:
        """Times every system at its fastest setting that finds enough, in turn."""
        seconds: dict[str, list[float]] = {name: [] for name in self.rivals}
        for _ in range(3 * ROUNDS):
            for name, search in self.rivals.items():
                time.sleep(0.05)  # Threads of the one before may still spin.
                seconds[name].append(search())
        for name, times in seconds.items():
            self.systems[name]["at_wanted_recall"] = {
                "setting": self._fastest(name),
                "queries_per_second": NUM_QUERIES / statistics.median(times),
            }

    def _climb(
        self, name: str, searching: Callable[[int, int], SearchFn]
    ) -> Iterator[tuple[str, dict[str, float], SearchFn]]:
        """Settings of ScaNN from quick to thorough, up to the share of leaves that is enough."""
        for share in SHARES_OF_LEAVES:
            leaves, best = round(share * self.num_leaves), 0.0
            for reordering in REORDERINGS:
                search = searching(leaves, reordering)
                best = max(best, self._recall(search()))
                setting: dict[str, float] = {
                    "num_leaves_to_search": leaves,
                    "reordering_num_neighbors": reordering,
                }
                yield name, setting, search
            if best >= ENOUGH:
                return

    def _ours(self, index: ScannIndex, leaves: int, reordering: int) -> SearchFn:
        search = index.searching(num_leaves_to_search=leaves, reordering_num_neighbors=reordering)
        return lambda: np.asarray(search.search(self.queries, NUM_NEIGHBORS).indices)

    def _bare(
        self, searcher: Any, leaves: int, reordering: int, queries: np.ndarray | None = None
    ) -> SearchFn:
        asked = self.queries if queries is None else queries
        batch = -(-NUM_QUERIES // (os.cpu_count() or 1))
        return lambda: searcher.search_batched_parallel(
            asked, NUM_NEIGHBORS, reordering, leaves, batch
        )[0]

    def _wrapping(self, index: ScannIndex) -> float:
        """Our search's time over that of the searcher inside, at equal parameters."""
        leaves, reordering = round(0.01 * index.parameters.num_leaves), 150
        extended = extended_queries(self.queries - index.origin)
        ours = self._ours(index, leaves, reordering)
        inside = self._bare(index.searcher, leaves, reordering, extended)
        ratios = []
        for _ in range(2 * ROUNDS):
            # Each goes first in every other pair.
            ratios.append(_seconds(ours)[0] / _seconds(inside)[0])
            ratios.append(1 / (_seconds(inside)[0] / _seconds(ours)[0]))
        return statistics.median(ratios)

    def _faiss(self, stack: ExitStack) -> None:
        asked = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "queries.npy"
        np.save(asked, self.queries)
        for name, (factory, ladder) in FAISS_SYSTEMS.items():
            worker = Worker(self.faiss_python, str(REPOSITORY / "benchmarks/faiss_worker.py"))
            stack.callback(worker.close)
            half = self.keys.shape[1] // 2
            text = factory.format(leaves=self.num_leaves, half=half)
            built = worker.ask(build=text, keys=str(self.keys_path))
            self.systems[name] = {**built, "factory": text, "settings": []}
            for rung in ladder:
                if max(self._climb_faiss(worker, name, one, asked) for one in rung) >= ENOUGH:
                    break
            setting = self._fastest(name)
            if setting is not None:
                self.rivals[name] = partial(self._ask_faiss, worker, name, setting, asked)

    def _climb_faiss(
        self, worker: Worker, name: str, setting: dict[str, float], asked: Path
    ) -> float:
        """Times one setting; returns its recall."""
        seconds = [self._ask_faiss(worker, name, setting, asked) for _ in range(ROUNDS)]
        return self._note(name, setting, np.load(asked.with_name(f"{name}.npy")), seconds)

    def _ask_faiss(
        self, worker: Worker, name: str, setting: dict[str, float], asked: Path
    ) -> float:
        """Seconds of one search by the worker's own clock; its rows lie beside the queries."""
        rows = str(asked.with_name(f"{name}.npy"))
        answer = worker.ask(
            search=str(asked), parameters=setting, num_neighbors=NUM_NEIGHBORS, rows=rows
        )
        self.systems[name]["version"] = answer["versions"]["faiss"]
        return float(answer["seconds"])

    def _exact(self) -> None:
        began = time.perf_counter()
        index = ExactIndex.build(np.asarray(self.keys))
        self._built("exact", time.perf_counter() - began, self.keys.nbytes)
        few = self.queries[:512]
        search = lambda: np.asarray(index.search(few, NUM_NEIGHBORS).indices)
        search()
        timed = [_seconds(search) for _ in range(ROUNDS)]
        self._note("exact", {}, timed[0][1], [seconds for seconds, _ in timed], len(few))
        self.systems["exact"]["at_wanted_recall"] = self.systems["exact"]["settings"][0]

    def _time(self, settings: list[tuple[str, dict[str, float], SearchFn]]) -> None:
        seconds: list[list[float]] = [[] for _ in settings]
        for _ in range(ROUNDS):
            for number, (_, _, search) in enumerate(settings):
                seconds[number].append(_seconds(search)[0])
        for (name, setting, search), times in zip(settings, seconds, strict=True):
            self._note(name, setting, search(), times)

    def _built(self, name: str, seconds: float, size: int) -> None:
        self.systems[name] = {"build_seconds": seconds, "bytes": size, "settings": []}

    def _note(
        self,
        name: str,
        setting: dict[str, float],
        rows: np.ndarray,
        seconds: list[float],
        num_queries: int = NUM_QUERIES,
    ) -> float:
        recall = self._recall(rows)
        rate = num_queries / statistics.median(seconds)
        self.systems[name]["settings"].append(
            {"setting": setting, "recall_at_10": recall, "queries_per_second": rate}
        )
        print(f"{len(self.keys):>9,} {name:16} {setting} recall {recall:.3f}, {rate:,.0f}/s")
        return recall

    def _recall(self, rows: np.ndarray) -> float:
        found = Neighbors(rows.astype(np.int32), np.zeros(rows.shape, np.float32))
        truth = Neighbors(*(part[: len(rows)] for part in self.truth))
        return recall_at_k(found, truth, self.keys, self.queries[: len(rows)])


def _seconds(search: SearchFn) -> tuple[float, np.ndarray]:
    began = time.perf_counter()
    rows = search()
    return time.perf_counter() - began, rows


def _time_alone(search: SearchFn) -> float:
    return _seconds(search)[0]


def _build_ours(keys: np.ndarray) -> tuple[ScannIndex, int, float]:
    """Our index, the bytes of its files, and the seconds until it could be searched."""
    (piece,) = cut(Rows(keys), len(keys))
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "index"
        files.mkdir()
        began = time.perf_counter()
        index, _ = build_scann(
            piece,
            "bfloat16",
            files,
            codes=Path(folder) / "codes",
            made_from={},
            reporter=Reporter(),
            stop=StopRequest(),
        )
        seconds = time.perf_counter() - began
        return index, _bytes_in(files), seconds


def _bare_scann(keys: np.ndarray, num_leaves: int) -> tuple[Any, int]:
    from scann.scann_ops.py import scann_builder, scann_ops_pybind

    searcher = (
        scann_ops_pybind.builder(keys, NUM_NEIGHBORS, "squared_l2")
        .tree(num_leaves, 10, random_init=False, min_partition_size=1)
        .score_ah(2)
        .reorder(100, quantize=scann_builder.ReorderType.BFLOAT16)
        .build()
    )
    with tempfile.TemporaryDirectory() as folder:
        searcher.serialize(folder, relative_path=True)
        return searcher, _bytes_in(Path(folder))


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def summarize(scales: dict[int, dict[str, Any]]) -> dict[str, float | None]:
    """Rates at recall 0.95, and ours over each of the others'."""
    summary: dict[str, float | None] = {}
    for num_keys, measured in scales.items():
        size = f"{num_keys // 1_000_000}m"
        rates = {
            name: system.get("at_wanted_recall", {}).get("queries_per_second")
            for name, system in measured["systems"].items()
        }
        for name, rate in rates.items():
            summary[f"{size}_{name}_queries_per_second"] = None if rate is None else round(rate)
            bytes_per_key = measured["systems"][name]["bytes"] / num_keys
            summary[f"{size}_{name}_bytes_per_key"] = round(bytes_per_key, 1)
            seconds = measured["systems"][name]["build_seconds"]
            summary[f"{size}_{name}_build_seconds"] = round(seconds, 1)
            if name != "ours" and rate and rates["ours"]:
                summary[f"{size}_vs_{name}"] = round(rates["ours"] / rate, 2)
        summary[f"{size}_wrapping_ratio"] = round(measured["wrapping_ratio"], 3)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-keys", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--faiss-python", default=".venv-bench/bin/python", metavar="FILE")
    parser.add_argument(
        "--keys", type=Path, metavar="FILE", help="a float32 matrix; its rows lie game after game"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"), metavar="DIR")
    default = REPOSITORY / "experiments/results/index-tradeoff.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    scales = {}
    for num_keys in options.num_keys:
        if options.keys is None:
            path, queries = synthetic(num_keys, options.work)
        else:
            path, queries = drawn_from(options.keys, num_keys, options.work)
        scales[num_keys] = Scale(path, queries, options.faiss_python).measure()
    summary = summarize(scales)
    document = {
        "benchmark": "index-tradeoff",
        "what": (__doc__ or "").strip(),
        "keys": (synthetic_keys.__doc__ or "").strip()
        if options.keys is None
        else (drawn_from.__doc__ or "").strip(),
        "wanted_recall": WANTED,
        "summary": summary,
        "scales": {str(num_keys): measured for num_keys, measured in scales.items()},
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("scann", "jax", "numpy")},
    }
    for name, value in summary.items():
        print(f"{name:40} {value}")
    artifacts.write_file(options.out, artifacts.to_json(document))


if __name__ == "__main__":
    main()
