"""Recall against queries a second, build seconds and bytes a key: ours, bare ScaNN, FAISS, exact.

One and five million keys, synthetic or rows of a matrix of one's own (`--keys`), one batch of
queries that are not among them, all systems in one run on the same cores: ours; bare ScaNN in the
configuration of its own builder (blocks of two dimensions), with its wheel's kernels and with those
that ours uses; FAISS, in processes of its own, in several ways that need no more memory than ours
(lean), among them its own turning of the dimensions (OPQ), and its graph (HNSW), at no more memory
and as it is mostly set up, both with FAISS's default effort to build. FAISS finds the lists to
search by matrix products or as it chooses by itself, whichever is faster. Each climbs from quick to
thorough settings, then searches for the least that finds enough; the fastest of those, three
where candidates are scored again, take turns, and the best median counts. Exact search is timed
apart, with fewer queries.

Beside them stands our memory as it was built, with the search that its build chose, asked by
`retrieve`. What our wrapping costs is measured apart: `retrieve` and the searcher inside it answer
in turn, with the same kernels. Build seconds of ours count everything until the index could be
searched, the true neighbors of its recall test among it; choosing the search comes on top.
"""

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import result_file
import synthetic_keys
from climb import WANTED
from index_systems import Scale
from worker import REPOSITORY

from retrieve_rl import artifacts
from retrieve_rl.processes import usable_cores

DIM, NUM_QUERIES = 64, 2000
OWN_GAME = 150
"""Rows of a matrix of one's own left out on both sides of a query: those of its own game."""


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


def identity(source: Path) -> dict[str, Any]:
    """Which matrix it was."""
    return {"rows": len(np.load(source, mmap_mode="r")), "sha256": artifacts.sha256_of(source)}


def summarize(scales: dict[int, dict[str, Any]]) -> dict[str, float | None]:
    """Rates at recall 0.95, ours over each of the others' and over the fastest lean FAISS's, and
    what each system takes; null where a system finds too few at every setting. The rate of ours as
    built is at the recall beside it."""
    summary: dict[str, float | None] = {}
    for num_keys, measured in scales.items():
        size, systems = f"{num_keys // 1_000_000}m", measured["systems"]
        rates = {
            name: system.get("at_wanted_recall", {}).get("queries_per_second")
            for name, system in systems.items()
        }
        for name, rate in rates.items():
            system = systems[name]
            summary[f"{size}_{name}_queries_per_second"] = None if rate is None else round(rate)
            summary[f"{size}_{name}_bytes_per_key"] = round(system["bytes"] / num_keys, 1)
            summary[f"{size}_{name}_build_seconds"] = round(system["build_seconds"], 1)
            best = max((one["recall_at_10"] for one in system["settings"]), default=None)
            if rate is None and best is not None:
                summary[f"{size}_{name}_best_recall_at_10"] = round(best, 3)
            if not name.startswith("ours"):
                summary[f"{size}_vs_{name}"] = _ratio(rates["ours"], rate)
        lean = [rate for name, rate in rates.items() if "_lean" in name and rate]
        summary[f"{size}_vs_fastest_lean_faiss"] = _ratio(rates["ours"], max(lean, default=None))
        as_built = systems["ours_as_built"]["settings"][0]
        summary[f"{size}_ours_as_built_recall_at_10"] = round(as_built["recall_at_10"], 4)
        summary[f"{size}_ours_tune_seconds"] = round(systems["ours"]["tune_seconds"], 1)
        summary[f"{size}_wrapping_ratio"] = round(measured["wrapping_ratio"], 3)
    return summary


def _ratio(rate: float | None, other: float | None) -> float | None:
    return round(rate / other, 2) if rate and other else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-keys", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--faiss-python", default=".venv-bench/bin/python", metavar="FILE")
    parser.add_argument(
        "--keys", type=Path, metavar="FILE", help="a float32 matrix; its rows lie game after game"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"), metavar="DIR")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="index-tradeoff.json, or -of-keys.json for --keys"
    )
    options = parser.parse_args()
    work, name = options.work.resolve(), "index-tradeoff" + ("-of-keys" if options.keys else "")
    out = options.out or REPOSITORY / "experiments/results" / f"{name}.json"
    keys_of = None if options.keys is None else identity(options.keys)
    scales = {}
    for num_keys in options.num_keys:
        if options.keys is None:
            path, queries = synthetic(num_keys, work)
        else:
            path, queries = drawn_from(options.keys, num_keys, work)
        scales[num_keys] = Scale(path, queries, options.faiss_python).measure()
        summary = summarize(scales)
        document = {
            "benchmark": out.stem,
            "what": (__doc__ or "").strip(),
            "keys": ((drawn_from if options.keys else synthetic_keys).__doc__ or "").strip(),
            "keys_of": keys_of,
            "dim": queries.shape[1],
            "wanted_recall": WANTED,
            "summary": summary,
            "scales": {str(num_keys): measured for num_keys, measured in scales.items()},
            **result_file.origin(),
            "cores": usable_cores(),
            "versions": {name: version(name) for name in ("scann", "jax", "numpy")},
        }
        artifacts.write_file(work / out.name, artifacts.to_json(document))
    artifacts.write_file(out, artifacts.to_json(document))
    for name, value in summary.items():
        print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
