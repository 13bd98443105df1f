"""Fifty million keys on one machine: built, saved, reopened, searched.

Everything goes through the same functions as `rrl build-index`. The queries are drawn like the keys
and are not among them; recall is measured against exact search over all keys.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import result_file
import synthetic_keys
from peak_memory import peak_anonymous
from worker import REPOSITORY

from retrieve_rl import artifacts
from retrieve_rl.processes import usable_cores
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.build import IndexOptions, build_memory
from retrieve_rl.retrieval.keys import open_keys
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.retrieval.quality import recall_at_k, true_neighbors
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.signals import StopRequest

DIM, NUM_QUERIES, NUM_NEIGHBORS, REPEATS = 64, 1000, 10, 7


def build(keys_path: Path, out: Path, options: IndexOptions) -> dict[str, Any]:
    """Builds from the mapped keys; a build of an earlier call, whole or not, is thrown away."""
    shutil.rmtree(out.with_name(f".{out.name}.shards"), ignore_errors=True)
    began = time.perf_counter()
    with peak_anonymous() as peak:
        report = build_memory(
            Rows(open_keys(keys_path)),
            out,
            options,
            reporter=Reporter(),
            stop=StopRequest(),
            force=True,
        )
    return {
        "report": report,
        "seconds": time.perf_counter() - began,
        "peak_anon_gib": peak.gib,
    }


def search(keys_path: Path, out: Path) -> dict[str, Any]:
    """Opens the index in a process that has never seen it, and asks it."""
    keys = open_keys(keys_path)
    queries = synthetic_keys.queries(NUM_QUERIES, *keys.shape)
    began = time.perf_counter()
    with peak_anonymous() as peak:
        memory = open_memory(out)
        opened = time.perf_counter() - began
        found = memory.index.search(queries, NUM_NEIGHBORS)
        seconds = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            memory.index.search(queries, NUM_NEIGHBORS)
            seconds.append(time.perf_counter() - began)
    truth = true_neighbors(keys, queries, NUM_NEIGHBORS + 1)
    first = memory.manifest.metadata["shards"][0]
    return {
        "open_seconds": opened,
        "peak_anon_gib": peak.gib,
        "seconds_per_batch": seconds,
        "queries_per_second": NUM_QUERIES / float(np.median(seconds)),
        "recall_at_10": recall_at_k(found, truth, keys, queries),
        "shard": first,
    }


def in_child(step: str, options: argparse.Namespace) -> dict[str, Any]:
    """A step in a process of its own, so that its memory is its own."""
    arguments = ["--num-keys", str(options.num_keys), "--work", str(options.work)]
    command = [sys.executable, __file__, *arguments, "--step", step]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-keys", type=int, default=50_000_000)
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"), metavar="DIR")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "experiments/results/index-50m.json"
    )
    parser.add_argument("--step", choices=("build", "search"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    keys_path = options.work / f"keys-{options.num_keys}.npy"
    index_path = options.work / f"index-{options.num_keys}"
    if options.step == "build":
        return print(json.dumps(build(keys_path, index_path, IndexOptions(kind="scann"))))
    if options.step == "search":
        return print(json.dumps(search(keys_path, index_path)))
    if not keys_path.exists():
        options.work.mkdir(parents=True, exist_ok=True)
        synthetic_keys.write_keys(keys_path, options.num_keys, DIM)
    built, searched = in_child("build", options), in_child("search", options)
    document = {
        "benchmark": "index-50m",
        "what": (synthetic_keys.__doc__ or "").strip(),
        "summary": {
            "num_keys": options.num_keys,
            "dim": DIM,
            "recall_at_10": round(searched["recall_at_10"], 4),
            "queries_per_second": round(searched["queries_per_second"]),
            "build_seconds": round(built["seconds"], 1),
            "open_seconds": round(searched["open_seconds"], 1),
            "peak_anon_gib": round(max(built["peak_anon_gib"], searched["peak_anon_gib"]), 2),
            "bytes_per_key": round(built["report"]["bytes_per_key"], 1),
        },
        "build": built,
        "search": searched,
        **result_file.origin(),
        "cores": usable_cores(),
        "versions": {name: version(name) for name in ("scann", "jax", "numpy")},
    }
    print(json.dumps(document["summary"], indent=2))
    artifacts.write_file(options.out, artifacts.to_json(document))


if __name__ == "__main__":
    main()
