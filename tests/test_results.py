"""Result documents: written whole, read back the same, refused when they are not ours."""

import math
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from retrieve_rl import results
from retrieve_rl.documents import read_document, write_document
from retrieve_rl.errors import DataError
from retrieve_rl.results import (
    RunResult,
    machine,
    read_result,
    run_folder,
    without_nan,
    write_result,
)

NAMES = {"task": "t", "arm": "a", "preset": "p", "seed": 1, "config_hash": "0123456789abcdef"}


def result(**changes):
    fields = {
        "command": "train-policy",
        "status": "ok",
        "results_version": 1,
        "config": {"task": "t", "train": {"steps": 2}},
        "inputs": {"dataset": {"id": "x"}},
        "outcomes": [{"seed": 3, "return_raw": 0.1 + 0.2, "status": "ok"}],
        "summary": {"mean": 1e-300},
    }
    return RunResult(**{**NAMES, **fields, **changes})


def test_written_and_read_is_the_same(tmp_path):
    written = result(timings={"seconds": 1.5}, retrieval={"rows": 3})
    path = write_result(tmp_path / "a" / "b", written)
    assert path == tmp_path / "a" / "b" / "result.json"
    assert read_result(path) == read_result(path.parent) == written


def test_infinities_are_written_as_null(tmp_path):
    path = write_result(tmp_path, result(summary={"mean": math.nan, "list": [math.inf, 1.0]}))
    assert "NaN" not in path.read_text() and "Infinity" not in path.read_text()
    assert read_result(path).summary == {"mean": None, "list": [None, 1.0]}
    assert without_nan((1, "a", -math.inf)) == [1, "a", None]


def test_documents_that_are_not_results_are_refused(tmp_path):
    with pytest.raises(DataError, match="has not finished"):
        read_result(tmp_path)
    path = write_result(tmp_path, result())
    document = read_document(path)
    path.write_text(path.read_text()[:-10])
    with pytest.raises(DataError, match="cannot be read"):
        read_result(path)
    write_document(path, {**document, "schema_version": 2})
    with pytest.raises(DataError, match="schema version 2, .* take a newer version"):
        read_result(path)
    write_document(path, {**document, "sumary": {}})
    with pytest.raises(DataError, match="did you mean summary"):
        read_result(path)
    path.write_text(path.read_text().replace('"arm": "', '"arm": "x'))
    with pytest.raises(DataError, match="has changed since it was written"):
        read_result(path)


def test_the_status_is_one_of_four():
    with pytest.raises(ValueError):
        result(status="fine")


def test_a_run_lies_where_its_content_says(tmp_path):
    folder = run_folder(tmp_path, "train-policy", **NAMES)
    assert folder == tmp_path / "train-policy" / "t" / "a-p-s1-01234567"
    changes = [{"task": "u"}, {"arm": "b"}, {"preset": "q"}, {"seed": 2}, {"config_hash": "f" * 9}]
    others = {run_folder(tmp_path, "train-policy", **{**NAMES, **change}) for change in changes}
    others.add(run_folder(tmp_path, "evaluate", **NAMES))
    assert len(others | {folder}) == 7


def test_the_machine_is_described():
    described = machine()
    assert described["peak_memory_bytes"] > 2**20
    assert {"python", "jax", "jaxlib", "mctx", "sgfmill"} <= set(described["versions"])
    assert described["device"]["platform"] and described["device"]["count"] >= 1
    assert result(**described).device == described["device"]


def test_the_version_of_every_requirement_is_kept():
    text = (Path(results.__file__).parents[1] / "pyproject.toml").read_text()
    wanted = [
        re.split(r"[^\w-]", line)[0] for line in tomllib.loads(text)["project"]["dependencies"]
    ]
    assert {*wanted, "jaxlib"} == set(results.REQUIREMENTS)


def test_the_source_is_the_commit_of_the_checkout(tmp_path, monkeypatch):
    def git(*words):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(results, "__file__", str(tmp_path / "package" / "results.py"))
    assert "source" not in machine()["versions"]
    git("init", "--quiet")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "--quiet", "-m", "one")
    assert machine()["versions"]["source"] == git("rev-parse", "HEAD")
    (tmp_path / "file").write_text("b")
    assert machine()["versions"]["source"] == git("rev-parse", "HEAD") + "+changes"
