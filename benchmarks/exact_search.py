"""Exact search in JAX beside FAISS's flat index: 60,000 keys of width 64, batches of 64 to 4,096.

The two take turns on the same cores; a turn is the median of three calls or more, for a fifth of a
second, after as many that are not timed: threads just woken may share a core for some calls. The
keys are made ready once on both sides, as an index does. FAISS computes distances by matrix
products or as it chooses by itself, whichever was faster before the turns. The limit is the
arithmetic of the scores over the rate of the fastest of three matrix products.

Apart from FAISS, which knows no groups, searches as a training makes them, 320 queries over 60,000
latents of width 32, take turns without and with the query's own trajectory hidden.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import result_file
import synthetic_keys
from ask_faiss import Faiss
from product_rate import product_rate, refuse_busy
from turns import in_turn
from worker import REPOSITORY

from retrieve_rl import artifacts
from retrieve_rl.processes import usable_cores
from retrieve_rl.retrieval.exact import ExactIndex

NUM_KEYS, DIM, NUM_NEIGHBORS = 60_000, 64, 10
BATCHES = (64, 256, 1024, 4096)
CALLS_A_TURN, TURN_SECONDS = 3, 0.2
LATENT_DIM, LATENT_BATCH, TRAJECTORY_ROWS = 32, 320, 1000


def measure(faiss_python: str, rounds: int) -> dict[str, Any]:
    samples: dict[str, list[float]] = {}
    measure_rate = product_rate()
    agreement: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        keys_path = Path(folder) / "keys.npy"
        synthetic_keys.write_keys(keys_path, NUM_KEYS, DIM)
        queries = synthetic_keys.queries(max(BATCHES), NUM_KEYS, DIM)
        faiss = Faiss(faiss_python)
        faiss.build("Flat", keys_path)
        index = ExactIndex.build(np.load(keys_path))
        asked_of_faiss = {batch: Path(folder) / f"{batch}.npy" for batch in BATCHES}
        for batch, path in asked_of_faiss.items():
            np.save(path, queries[:batch])
        distances = {
            batch: faiss.faster_distances(path, NUM_NEIGHBORS)
            for batch, path in asked_of_faiss.items()
        }

        def ask_faiss(batch: int) -> tuple[float, np.ndarray]:
            return faiss.search(asked_of_faiss[batch], NUM_NEIGHBORS, distances[batch])

        def ask_ours(batch: int) -> tuple[float, np.ndarray]:
            asked = jnp.asarray(queries[:batch])
            began = time.perf_counter()
            rows = np.asarray(index.search(asked, NUM_NEIGHBORS).indices)
            return time.perf_counter() - began, rows

        turns = {"faiss": ask_faiss, "ours": ask_ours}
        for number in range(rounds + 1):
            for batch in BATCHES:
                rows = {}
                # Each goes first in every other round.
                for name in sorted(turns, reverse=number % 2 == 0):
                    time.sleep(0.05)  # Threads of the one before may still spin.
                    search = partial(turns[name], batch)
                    one_turn(search)
                    seconds, rows[name] = one_turn(search)
                    if number:  # The first round compiles.
                        samples.setdefault(f"{name}_{batch}", []).append(seconds * 1e3)
                agreement[str(batch)] = float(np.mean(rows["ours"] == rows["faiss"]))
            if number:
                samples.setdefault("product_rate", []).append(measure_rate())
        faiss.close()
    for name, seconds_of_calls in in_turn(searches_of_training(), rounds).items():
        samples[name] = [seconds * 1e3 for seconds in seconds_of_calls]
    return {
        "samples": samples,
        "agreement": agreement,
        "faiss_distances": {f"batch {batch}": chosen for batch, chosen in distances.items()},
        "faiss": faiss.versions["faiss"],
    }


def one_turn(search: Callable[[], tuple[float, np.ndarray]]) -> tuple[float, np.ndarray]:
    """The median seconds of its calls, and the rows that the last one found."""
    timed: list[float] = []
    while len(timed) < CALLS_A_TURN or sum(timed) < TURN_SECONDS:
        seconds, rows = search()
        timed.append(seconds)
    return statistics.median(timed), rows


def searches_of_training() -> dict[str, Callable[[], object]]:
    """Of latents: without groups, and with the group of each query hidden."""
    with tempfile.TemporaryDirectory() as folder:
        keys_path = Path(folder) / "latents.npy"
        synthetic_keys.write_keys(keys_path, NUM_KEYS, LATENT_DIM)
        keys = np.load(keys_path)
    queries = jnp.asarray(synthetic_keys.queries(LATENT_BATCH, NUM_KEYS, LATENT_DIM))
    trajectories = np.arange(NUM_KEYS) // TRAJECTORY_ROWS
    own = jnp.asarray(np.random.default_rng(0).choice(trajectories, (LATENT_BATCH, 1)))
    whole, grouped = ExactIndex.build(keys), ExactIndex.build(keys, trajectories)
    return {
        "latents": lambda: jax.block_until_ready(whole.search(queries, NUM_NEIGHBORS)),
        "latents_own_hidden": lambda: jax.block_until_ready(
            grouped.search(queries, NUM_NEIGHBORS, not_from=own)
        ),
    }


def summarize(measured: dict[str, Any]) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in measured["samples"].items()}
    summary = {}
    for batch in BATCHES:
        ours, theirs = medians[f"ours_{batch}"], medians[f"faiss_{batch}"]
        limit = 2.0 * batch * NUM_KEYS * DIM / medians["product_rate"] * 1e3
        summary[f"vs_faiss_batch_{batch}"] = round(theirs / ours, 3)
        summary[f"share_of_limit_batch_{batch}"] = round(limit / ours, 3)
        summary[f"milliseconds_batch_{batch}"] = round(ours, 3)
    for name in ("latents", "latents_own_hidden"):
        summary[f"milliseconds_{name}"] = round(medians[name], 3)
    return {
        "benchmark": "exact-search",
        "what": (__doc__ or "").strip(),
        "num_keys": NUM_KEYS,
        "dim": DIM,
        "num_neighbors": NUM_NEIGHBORS,
        "summary": summary,
        **result_file.origin(),
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
