"""FAISS in an environment of its own: builds an index from a file of keys, answers searches.

Requests are lines of JSON: {"build": factory string, "keys": path} or {"search": path of queries,
"parameters": {...}, "num_neighbors": k, "rows": path of the rows found}.
"""

import json
import sys
import time
from typing import Any

import faiss
import numpy as np

TRAINING_ROWS = 200_000


def build(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    keys = np.load(request["keys"], mmap_mode="r")
    began = time.perf_counter()
    index = faiss.index_factory(keys.shape[1], request["build"])
    if not index.is_trained:
        index.train(np.ascontiguousarray(keys[:: max(1, len(keys) // TRAINING_ROWS)]))
    for start in range(0, len(keys), 1 << 19):
        index.add(np.ascontiguousarray(keys[start : start + (1 << 19)]))
    seconds = time.perf_counter() - began
    return index, {"build_seconds": seconds, "bytes": faiss.serialize_index(index).nbytes}


def search(index: Any, request: dict[str, Any]) -> dict[str, Any]:
    queries = np.load(request["search"])
    for name, value in request.get("parameters", {}).items():
        faiss.ParameterSpace().set_index_parameter(index, name, value)
    began = time.perf_counter()
    _, rows = index.search(queries, request["num_neighbors"])
    seconds = time.perf_counter() - began
    np.save(request["rows"], rows.astype(np.int32))
    return {"seconds": seconds, "versions": {"faiss": faiss.__version__}}


def main() -> None:
    index = None
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            index = None
            index, answer = build(request)
        else:
            answer = search(index, request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
