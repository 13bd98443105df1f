"""How the index grows: seconds of building and microseconds of a query against the number of keys.

Everything goes through the functions of `rrl build-index`; exact or ScaNN is chosen as they choose,
by the number of keys. A thousand queries at once, the median of five; one size after the other.
The exponents are of the largest sizes of this run; the figure also has what `index_50m.py` measured
in the same way, where its result is there.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import result_file
import synthetic_keys
from growth import Line, Panel, draw, slopes

from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.build import IndexOptions, build_memory
from retrieve_rl.retrieval.keys import open_keys
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.signals import StopRequest

DIM, NUM_QUERIES, NUM_NEIGHBORS, REPEATS = 64, 1000, 10, 5
NUM_KEYS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)


class Cost(NamedTuple):
    """Of an index over one number of keys.

    Attributes:
      kind: exact or scann.
      build_seconds: tuning and measuring recall included.
    """

    kind: str
    build_seconds: float
    query_microseconds: float


def cost(num_keys: int) -> Cost:
    """Builds, opens and asks an index of so many keys."""
    with tempfile.TemporaryDirectory() as folder:
        keys_path, out = Path(folder) / "keys.npy", Path(folder) / "index"
        synthetic_keys.write_keys(keys_path, num_keys, DIM)
        began = time.perf_counter()
        report = build_memory(
            Rows(open_keys(keys_path)),
            out,
            IndexOptions(),
            reporter=Reporter(-1),
            stop=StopRequest(),
        )
        built = time.perf_counter() - began
        memory = open_memory(out)
        queries = synthetic_keys.queries(NUM_QUERIES, num_keys, DIM)
        seconds = []
        for _ in range(REPEATS + 1):
            began = time.perf_counter()
            memory.index.search(queries, NUM_NEIGHBORS)
            seconds.append(time.perf_counter() - began)
        # The first one compiles.
        query = statistics.median(seconds[1:]) / NUM_QUERIES
    return Cost(report["kind"], built, query * 1e6)


def fifty_million() -> dict[int, Cost]:
    """What the largest index measured so far costs; nothing where there is none."""
    path = result_file.RESULTS / "index-50m.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text())["summary"]
    microseconds = 1e6 / found["queries_per_second"]
    return {found["num_keys"]: Cost("scann", found["build_seconds"], microseconds)}


def lines(costs: Mapping[int, Cost]) -> tuple[Line, Line]:
    """Seconds to build and microseconds a query, by the number of keys."""
    return (
        {num_keys: cost.build_seconds for num_keys, cost in costs.items()},
        {num_keys: cost.query_microseconds for num_keys, cost in costs.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-keys", type=int, nargs="+", default=NUM_KEYS)
    default = result_file.RESULTS / "bench-index-growth.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    costs = {num_keys: cost(num_keys) for num_keys in options.num_keys}
    builds, queries = lines(costs)
    result_file.write(
        options.out,
        benchmark="index-growth",
        what=__doc__,
        summary=slopes(build=builds, query=queries),
        packages=("scann", "jax", "numpy"),
        costs={num_keys: cost._asdict() for num_keys, cost in costs.items()},
    )
    all_builds, all_queries = lines(costs | fifty_million())
    panels = (
        Panel("keys", "seconds to build", {"index": all_builds}),
        Panel("keys", "microseconds a query", {"index": all_queries}),
    )
    draw(panels, "The index of build-index", options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
