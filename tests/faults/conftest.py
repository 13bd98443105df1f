"""The modules of the long form of these tests, which lie beside its program."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "faults"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
