"""Artifacts and documents of each schema version, as they were once written, can still be read.

The files are never written anew: a version that is raised gets files of its own beside them.
"""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.documents import read_json, write_document
from retrieve_rl.errors import DataError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import datasets
from retrieve_rl.report.of_study import page_of_study
from retrieve_rl.results import read_result
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.study.cell_files import read_cell
from retrieve_rl.training.checkpoints import checkpoint_of, load_tree

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name, rows", [("index", 12), ("grown", 24)])
def test_an_index(name, rows):
    memory = open_memory(GOLDEN / name)
    assert memory.index.num_keys == rows
    second_key = np.arange(4, 8, dtype=np.float32)[None]
    found = memory.index.search(second_key, 1)
    assert found.distances[0, 0] == 0.0 and found.indices[0, 0] in (1, 13)


def test_a_checkpoint():
    path, manifest = checkpoint_of(GOLDEN / "checkpoints", 3)
    tree = load_tree(path, {"weights": jnp.zeros((2, 3))})
    assert manifest.metadata["step"] == 3
    np.testing.assert_array_equal(tree["weights"], np.arange(6).reshape(2, 3))


def test_an_imported_data_set(monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(GOLDEN / "data"))
    episodes = datasets.load("d4rl/tiny", Reporter(verbosity=-1))
    assert episodes.num_episodes == 2 and episodes.num_steps == 30


def test_a_result():
    assert read_result(GOLDEN / "run").outcomes == [{"return_raw": 1.5}]


def test_a_cell():
    cell = read_cell(GOLDEN / "cell.json")
    assert cell.schema_version == 1 and cell.outcomes.values


def test_a_report_of_a_study(tmp_path):
    page = page_of_study(read_json(GOLDEN / "study.json"), "study.json", tmp_path)
    assert page.title == "Tiny"


@pytest.mark.parametrize(
    "name, read",
    [
        ("index/MANIFEST.json", lambda path: artifacts.verify(path.parent)),
        ("run/result.json", read_result),
        ("cell.json", read_cell),
    ],
)
def test_a_newer_version_is_refused_by_name(tmp_path, name, read):
    shutil.copytree(GOLDEN, tmp_path / "copy")
    path = tmp_path / "copy" / name
    document = json.loads(path.read_text())
    sealed = document.pop("sha256", None) is not None
    newer = {**document, "schema_version": 2}
    path.write_text(json.dumps(newer))
    if sealed:
        write_document(path, newer)
    with pytest.raises(DataError, match="schema version 2, this program reads 1: take a newer"):
        read(path)
