"""Exact search in JAX beside FAISS's flat index: 60,000 keys of width 64, batches of 64 to 4,096.

The two take turns on the same cores; a turn is the median of three calls after one that is not
timed. The keys are made ready once on both sides, as an index does. The limit is the arithmetic of
the scores over the rate of the fastest of three matrix products.
"""

import argparse
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import synthetic_keys
from product_rate import product_rate, refuse_busy
from worker import REPOSITORY, Worker

from retrieve_rl import artifacts
from retrieve_rl.processes import usable_cores
from retrieve_rl.retrieval.exact import ExactIndex

NUM_KEYS, DIM, NUM_NEIGHBORS = 60_000, 64, 10
BATCHES = (64, 256, 1024, 4096)
CALLS_A_TURN = 3


def measure(faiss_python: str, rounds: int) -> dict[str, Any]:
    samples: dict[str, list[float]] = {}
    measure_rate = product_rate()
    agreement: dict[str, float] = {}
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        keys_path = Path(folder) / "keys.npy"
        synthetic_keys.write_keys(keys_path, NUM_KEYS, DIM)
        queries = synthetic_keys.queries(max(BATCHES), NUM_KEYS, DIM)
        faiss = Worker(faiss_python, str(REPOSITORY / "benchmarks/faiss_worker.py"))
        faiss.ask(build="Flat", keys=str(keys_path))
        index = ExactIndex.build(np.load(keys_path))
        for batch in BATCHES:
            np.save(Path(folder) / f"{batch}.npy", queries[:batch])

        def ask_faiss(batch: int) -> tuple[np.ndarray, float]:
            rows_path = Path(folder) / "rows.npy"
            answer = faiss.ask(
                search=str(Path(folder) / f"{batch}.npy"),
                num_neighbors=NUM_NEIGHBORS,
                rows=str(rows_path),
            )
            versions.update(answer["versions"])
            return np.load(rows_path), answer["seconds"]

        def ask_ours(batch: int) -> tuple[np.ndarray, float]:
            asked = jnp.asarray(queries[:batch])
            began = time.perf_counter()
            rows = np.asarray(index.search(asked, NUM_NEIGHBORS).indices)
            return rows, time.perf_counter() - began

        turns = {"faiss": ask_faiss, "ours": ask_ours}
        for number in range(rounds + 1):
            for batch in BATCHES:
                rows = {}
                # Each goes first in every other round.
                for name in sorted(turns, reverse=number % 2 == 0):
                    time.sleep(0.05)  # Threads of the one before may still spin.
                    turns[name](batch)
                    calls = [turns[name](batch) for _ in range(CALLS_A_TURN)]
                    rows[name] = calls[0][0]
                    seconds = statistics.median(seconds for _, seconds in calls)
                    if number:  # The first round compiles.
                        samples.setdefault(f"{name}_{batch}", []).append(seconds * 1e3)
                agreement[str(batch)] = float(np.mean(rows["ours"] == rows["faiss"]))
            samples.setdefault("product_rate", []).append(measure_rate())
        faiss.close()
    return {"samples": samples, "agreement": agreement, "faiss": versions["faiss"]}


def summarize(measured: dict[str, Any]) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in measured["samples"].items()}
    summary = {}
    for batch in BATCHES:
        ours, theirs = medians[f"ours_{batch}"], medians[f"faiss_{batch}"]
        limit = 2.0 * batch * NUM_KEYS * DIM / medians["product_rate"] * 1e3
        summary[f"vs_faiss_batch_{batch}"] = round(theirs / ours, 3)
        summary[f"share_of_limit_batch_{batch}"] = round(limit / ours, 3)
        summary[f"milliseconds_batch_{batch}"] = round(ours, 3)
    return {
        "benchmark": "exact-search",
        "what": (__doc__ or "").strip(),
        "num_keys": NUM_KEYS,
        "dim": DIM,
        "num_neighbors": NUM_NEIGHBORS,
        "summary": summary,
        "cores": usable_cores(),
        "versions": {"jax": version("jax"), "faiss": measured["faiss"]},
        **measured,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faiss-python", default=".venv-bench/bin/python", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=15)
    default = REPOSITORY / "experiments/results/exact-search.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    document = summarize(measure(options.faiss_python, options.rounds))
    for name, value in document["summary"].items():
        print(f"{name:40} {value}")
    refuse_busy(document["samples"]["product_rate"])
    artifacts.write_file(options.out, artifacts.to_json(document))


if __name__ == "__main__":
    main()
