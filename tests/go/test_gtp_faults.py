"""The benchmark of faults runs, and judges by the table of labels."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_benchmark_writes_its_summary(tmp_path):
    out = tmp_path / "faults.json"
    command = [sys.executable, "benchmarks/gtp_faults.py", "--games", "6", "--out", str(out)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    document = json.loads(out.read_text())
    assert set(document["kinds"]) == {"sound", "passes", "a megabyte on stderr"}
    summary = document["summary"]
    assert (summary["games"], summary["right"], summary["wrong"]) == (6, 6, 0)
    assert summary["zombies"] == summary["processes_left"] == 0
    assert summary["descriptors_before"] == summary["descriptors_after"]
