"""A finished cell's file: small, whole, known by what determines its numbers."""

import json

import pytest

from retrieve_rl import config
from retrieve_rl.errors import DataError
from retrieve_rl.study.cell_files import cell_file, default_folder, find_cell, read_cell
from retrieve_rl.study.design import StudyDesign, cells

ONE = """
title = "One"
tasks = ["easy"]
arms = ["plain"]
preset = "quick"
"""


@pytest.fixture
def one(go, tmp_path):
    """The file of the only cell of a study."""
    go(ONE)
    (path,) = (tmp_path / "cells").glob("quick/easy/plain-s0-*.json")
    return path


def cell_of(stub, **changes):
    fields = {"title": "T", "tasks": ["easy"], "arms": ["plain"], **changes}
    return cells(StudyDesign(**fields), stub.paper_of)[0]


def test_it_says_what_it_is_and_where_it_was_made(one):
    document = json.loads(one.read_text())
    assert document["versions"] == {"source": "c0ffee"} and document["device"]
    assert document["seconds"] == {"prepare": 1.0, "train": 60.0}
    assert document["identity"]["size"] == 1 and "folder" not in document["identity"]
    assert document["outcomes"]["episodes"] == [100, 101, 102, 103]
    assert one.stem.endswith(document["key"][:12])
    assert len(one.read_text().splitlines()) == len(document) + 2  # a line a field
    assert read_cell(one).key == document["key"]


def test_numbers_keep_nine_digits(one):
    for value in json.loads(one.read_text())["outcomes"]["values"]["score"]:
        assert value == float(f"{value:.9g}")


def test_the_key_depends_on_what_determines_the_numbers(stub):
    base = cell_of(stub).key
    assert cell_of(stub, settings={"folder": "/elsewhere"}).key == base
    others = [{"seeds": [1]}, {"arms": ["ours"]}, {"preset": "smoke"}, {"settings": {"size": 2}}]
    assert len({base, *(cell_of(stub, **change).key for change in others)}) == 5


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"seed": 0', '"seed": ', "is no finished cell"),
        ('"schema_version": 1', '"schema_version": 2', "take a newer version"),
        ('"size":1', '"size":3', "was changed: its key is not the hash"),
        ('"steps": 2', '"stepz": 2', "did you mean steps"),
    ],
)
def test_a_damaged_file_is_refused_by_name(one, go, old, new, message):
    text = one.read_text()
    assert old in text
    one.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message) as error:
        go(ONE)
    assert str(one) in str(error.value)
    assert one.exists()


def test_another_cells_file_under_its_name_is_refused(one, stub):
    cell = cell_of(stub, seeds=[1])
    folder = one.parents[2]
    cell_file(cell, folder).write_text(one.read_text())
    with pytest.raises(DataError, match="expected"):
        find_cell(cell, folder)


def test_cells_lie_in_the_checkout_where_there_is_one(tmp_path, monkeypatch):
    assert default_folder(tmp_path) == config.experiments_folder() / "results" / "cells"
    monkeypatch.setattr("retrieve_rl.study.cell_files.experiments_folder", lambda: tmp_path)
    assert default_folder(tmp_path / "runs") == tmp_path / "runs" / "cells"
