"""Runs the benchmarks one after the other and gathers their summaries in `bench.json`.

The long ones of the index and of engines that fail run by their own commands; their results are
gathered as they lie there, and so are those of benchmarks that are not named.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import goals
from result_file import RESULTS
from worker import REPOSITORY

from retrieve_rl import artifacts


class Benchmark(NamedTuple):
    """A script of this folder.

    Attributes:
      needs: the option that names the interpreter with PyTorch and FAISS.
    """

    script: str
    needs: str = ""


BENCHMARKS = (
    Benchmark("start_up"),
    Benchmark("sgf_reading"),
    Benchmark("data_making"),
    Benchmark("policy_evaluation"),
    Benchmark("train_step", needs="--torch-python"),
    Benchmark("train_step_with_memory"),
    Benchmark("exact_search", needs="--faiss-python"),
    Benchmark("go_steps"),
    Benchmark("go_search"),
    Benchmark("training_growth"),
    Benchmark("index_growth"),
    Benchmark("search_growth"),
    Benchmark("command_memory"),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench-python", default=".venv-bench/bin/python", metavar="FILE")
    names = [benchmark.script for benchmark in BENCHMARKS]
    parser.add_argument("--only", nargs="*", choices=names, default=names, metavar="BENCHMARK")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench.json", metavar="FILE")
    options = parser.parse_args()
    failed = [
        benchmark.script
        for benchmark in BENCHMARKS
        if benchmark.script in options.only and not run(benchmark, options.bench_python)
    ]
    rows = [goals.judge(row, RESULTS) for row in goals.ROWS]
    for row in rows:
        print(row["what"])
        for goal in row["goals"]:
            verdict = {True: "met", False: "missed", None: "not measured"}[goal["met"]]
            print(f"  {goal['measure']:45} {goal['measured']!s:>10} {goal['goal']:14} {verdict}")
    document = {
        "benchmark": "all",
        "what": (__doc__ or "").strip(),
        "rows": rows,
        "summary": goals.summaries(RESULTS),
        "not_measured_anew": failed,
    }
    artifacts.write_file(options.out, artifacts.to_json(document))
    print(f"written: {options.out}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; --only runs them again")


if __name__ == "__main__":
    main()
