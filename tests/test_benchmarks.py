"""The parts of the benchmarks that decide what a number means."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import goals
import growth
import product_rate
import result_file
import run_all
import turns


def test_a_curve_that_bends_upward_shows_it_between_its_largest_sizes():
    line = {10: 1.0, 1000: 400.0, 100: 10.0}  # tenfold, then fortyfold
    assert growth.last_slope(line) == pytest.approx(1.602, abs=0.001)
    assert growth.exponent(line) == pytest.approx(1.301, abs=0.001)
    in_proportion = {size: 3.0 * size for size in (1, 20, 300, 4000)}
    assert growth.slopes(keys=in_proportion) == pytest.approx(
        {"exponent_of_keys": 1.0, "last_slope_of_keys": 1.0}
    )


def test_the_limit_is_the_rate_of_the_fastest_product(monkeypatch):
    monkeypatch.setattr(product_rate, "PRODUCT_SIZES", (32, 64))
    assert product_rate.product_rate()() > 0


def test_a_busy_machine_is_refused():
    product_rate.refuse_busy([100.0, 120.0, 149.0])
    with pytest.raises(SystemExit, match="not written"):
        product_rate.refuse_busy([100.0, 120.0, 151.0])


def test_the_faster_of_two_is_told_by_the_median_after_a_warm_up():
    seconds = {"first": iter([0.1, 3.0, 2.0, 9.0]), "second": iter([9.0, 2.5, 9.0, 2.6])}
    timed = {name: lambda left=left: next(left) for name, left in seconds.items()}
    assert turns.fastest(timed) == "second"


def test_a_result_says_where_it_was_measured():
    origin = result_file.origin()
    assert set(origin) == {"commit", "day", "processor"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", origin["day"])


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_commit_is_dirty_where_measured_code_differs(tmp_path):
    repository = tmp_path / "repository"
    (repository / "benchmarks").mkdir(parents=True)
    code = repository / "benchmarks/some.py"
    code.write_text("")

    def git(*words, cwd=repository):
        named = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(["git", *named, *words], cwd=cwd, check=True, capture_output=True)

    git("init", "--quiet", cwd=tmp_path)
    assert result_file.commit(repository) is None  # another's repository around it
    git("init", "--quiet")
    assert result_file.commit(repository) is None
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    clean = result_file.commit(repository)
    (repository / "README.md").write_text("new")
    assert re.fullmatch("[0-9a-f]{4,}", clean) and result_file.commit(repository) == clean
    code.write_text("new")
    assert result_file.commit(repository) == f"{clean}-dirty"


def test_what_was_not_measured_anew_is_told_with_its_origin(tmp_path):
    of_now = {"summary": {"vs_pytorch": 2.0}, "commit": "abc1234", "day": "2030-01-02"}
    (tmp_path / "bench-train-step.json").write_text(json.dumps(of_now))
    (tmp_path / "exact-search.json").write_text(json.dumps({"summary": {"vs_faiss_batch_64": 1.0}}))
    document = run_all.gathered({"bench-train-step"}, tmp_path)
    assert set(document["summary"]) == {"bench-train-step", "exact-search"}
    assert document["origins"] == {
        "bench-train-step": {"commit": "abc1234", "day": "2030-01-02"},
        "exact-search": {"commit": None, "day": None},
    }
    assert set(document["not_measured_anew"]) == set(goals.names()) - {"bench-train-step"}


def test_every_benchmark_writes_a_result_that_a_goal_speaks_of():
    for benchmark in run_all.BENCHMARKS:
        script = Path(run_all.__file__).with_name(f"{benchmark.script}.py")
        assert benchmark.result in goals.names()
        assert f"{benchmark.result}.json" in script.read_text()
