"""Runs the benchmarks one after the other and gathers their summaries in `bench.json`.

Without `--again` a benchmark whose result is newer than its script and comes from the library
versions installed now is not run again. The long ones of the index and of engines that fail run by
their own commands; their results are gathered as they lie there.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import goals
from result_file import RESULTS
from worker import REPOSITORY

from retrieve_rl import artifacts


class Benchmark(NamedTuple):
    """A script of this folder and its result.

    Attributes:
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


def is_current(script: Path, result: Path) -> bool:
    """Whether the result is newer than the script and from the versions installed now."""
    if not result.exists() or result.stat().st_mtime <= script.stat().st_mtime:
        return False
    recorded = json.loads(result.read_text()).get("versions", {})
    return all(_installed(name) in (None, recorded[name]) for name in recorded)


def _installed(name: str) -> str | None:
    """The version of a package; None where it lies in the other environment."""
    if name == "python":
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def run(benchmark: Benchmark, bench_python: str, again: bool) -> bool:
    """Runs a benchmark unless its result is current; whether there is a result of now."""
    script = REPOSITORY / "benchmarks" / f"{benchmark.script}.py"
    if not again and is_current(script, RESULTS / f"{benchmark.result}.json"):
        print(f"{benchmark.script}: measured before", flush=True)
        return True
    print(f"{benchmark.script}: measuring", flush=True)
    words = [benchmark.needs, bench_python] if benchmark.needs else []
    began = time.monotonic()
    code = subprocess.run([sys.executable, str(script), *words]).returncode
    print(f"{benchmark.script}: exit {code} after {time.monotonic() - began:.0f} s", flush=True)
    return code == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench-python", default=".venv-bench/bin/python", metavar="FILE")
    parser.add_argument("--again", action="store_true", help="run also what is measured already")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench.json", metavar="FILE")
    options = parser.parse_args()
    failed = [
        benchmark.script
        for benchmark in BENCHMARKS
        if not run(benchmark, options.bench_python, options.again)
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
        sys.exit(f"failed: {', '.join(failed)}; without --again the others are not run anew")


if __name__ == "__main__":
    main()
