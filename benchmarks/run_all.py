"""Runs the benchmarks one after the other and gathers their summaries in `bench.json`.

The long ones of the index and of engines that fail run by their own commands; their results are
gathered as they lie there, and so are those of benchmarks that are not named: `origins` has the
commit and the day of each, `not_measured_anew` those that this call did not measure.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import goals
from result_file import RESULTS
from worker import REPOSITORY

from retrieve_rl import artifacts


class Benchmark(NamedTuple):
    """A script of this folder.

    Attributes:
      result: the name of what it writes, without its ending.
      needs: the option that names the interpreter with PyTorch and FAISS.
    """

    script: str
    result: str
    needs: str = ""


BENCHMARKS = (
    Benchmark("start_up", "bench-start-up"),
    Benchmark("sgf_reading", "bench-sgf-reading"),
    Benchmark("data_making", "bench-data-making"),
    Benchmark("policy_evaluation", "bench-policy-evaluation"),
    Benchmark("train_step", "bench-train-step", needs="--torch-python"),
    Benchmark("train_step_with_memory", "bench-train-step-with-memory"),
    Benchmark("exact_search", "exact-search", needs="--faiss-python"),
    Benchmark("go_steps", "bench-go-steps"),
    Benchmark("go_search", "bench-go-search"),
    Benchmark("training_growth", "bench-training-growth"),
    Benchmark("index_growth", "bench-index-growth"),
    Benchmark("search_growth", "bench-search-growth"),
    Benchmark("command_memory", "bench-command-memory"),
)


def run(benchmark: Benchmark, bench_python: str) -> bool:
    """Runs a benchmark; whether it ended well."""
    print(f"{benchmark.script}: measuring", flush=True)
    script = REPOSITORY / "benchmarks" / f"{benchmark.script}.py"
    words = [benchmark.needs, bench_python] if benchmark.needs else []
    began = time.monotonic()
    code = subprocess.run([sys.executable, str(script), *words]).returncode
    print(f"{benchmark.script}: exit {code} after {time.monotonic() - began:.0f} s", flush=True)
    return code == 0


def gathered(anew: Collection[str], results: Path) -> dict[str, Any]:
    """The document of all results.

    Args:
      anew: the names of those that were measured just now.
    """
    return {
        "benchmark": "all",
        "what": (__doc__ or "").strip(),
        "rows": [goals.judge(row, results) for row in goals.ROWS],
        "summary": goals.summaries(results),
        "origins": goals.origins(results),
        "not_measured_anew": [name for name in goals.names() if name not in anew],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench-python", default=".venv-bench/bin/python", metavar="FILE")
    names = [benchmark.script for benchmark in BENCHMARKS]
    parser.add_argument("--only", nargs="*", choices=names, default=names, metavar="BENCHMARK")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench.json", metavar="FILE")
    options = parser.parse_args()
    asked = [benchmark for benchmark in BENCHMARKS if benchmark.script in options.only]
    failed = [one.script for one in asked if not run(one, options.bench_python)]
    anew = {one.result for one in asked if one.script not in failed}
    document = gathered(anew, RESULTS)
    for row in document["rows"]:
        print(row["what"])
        for goal in row["goals"]:
            verdict = {True: "met", False: "missed", None: "not measured"}[goal["met"]]
            print(f"  {goal['measure']:45} {goal['measured']!s:>10} {goal['goal']:14} {verdict}")
    artifacts.write_file(options.out, artifacts.to_json(document))
    print(f"written: {options.out}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; --only runs them again")


if __name__ == "__main__":
    main()
