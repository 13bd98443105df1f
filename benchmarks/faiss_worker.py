"""FAISS in an environment of its own: builds an index from a file of keys, answers searches.

Requests are lines of JSON: {"build": factory string, "keys": path} or {"search": path of queries,
"parameters": {...}, "num_neighbors": k, "rows": path of the rows found, "products_from": the least
queries x dimensions for which it multiplies matrices, null for its own}.
"""

import json
import re
import sys
import time
from typing import Any

import faiss
import numpy as np

TRAINING_ROWS, TRAINING_ROWS_PER_LIST = 200_000, 40
"""FAISS warns of fewer than 39 rows a list."""
PRODUCTS_FROM = faiss.cvar.distance_compute_blas_threshold


def build(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    keys = np.load(request["keys"], mmap_mode="r")
    began = time.perf_counter()
    index = faiss.index_factory(keys.shape[1], request["build"])
    kept_alive = four_bits_of(index)
    if not index.is_trained:
        lists = int(found[1]) if (found := re.search(r"IVF(\d+)", request["build"])) else 0
        rows = max(TRAINING_ROWS, TRAINING_ROWS_PER_LIST * lists)
        index.train(np.ascontiguousarray(keys[:: max(1, len(keys) // rows)]))
    del kept_alive
    for start in range(0, len(keys), 1 << 19):
        index.add(np.ascontiguousarray(keys[start : start + (1 << 19)]))
    seconds = time.perf_counter() - began
    return index, {"build_seconds": seconds, "bytes": faiss.serialize_index(index).nbytes}


def four_bits_of(index: Any) -> Any:
    """Lets OPQ turn the keys for codes of four bits, which follow, not for its default of eight.

    Returns what must live until it is trained.
    """
    inner = index.base_index if isinstance(index, faiss.IndexRefine) else index
    inner = faiss.downcast_index(inner)
    if not isinstance(inner, faiss.IndexPreTransform):
        return None
    rotation = faiss.downcast_VectorTransform(inner.chain.at(0))
    quantizer = faiss.ProductQuantizer(rotation.d_out, rotation.M, 4)
    rotation.pq = quantizer
    return rotation, quantizer


def search(index: Any, request: dict[str, Any]) -> dict[str, Any]:
    queries = np.load(request["search"])
    for name, value in request.get("parameters", {}).items():
        faiss.ParameterSpace().set_index_parameter(index, name, value)
    products_from = request.get("products_from")
    faiss.cvar.distance_compute_blas_threshold = products_from or PRODUCTS_FROM
    began = time.perf_counter()
    _, rows = index.search(queries, request["num_neighbors"])
    seconds = time.perf_counter() - began
    np.save(request["rows"], rows.astype(np.int32))
    return {
        "seconds": seconds,
        "versions": {"faiss": faiss.__version__, "kernels": faiss.SIMDConfig.get_level_name()},
    }


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
