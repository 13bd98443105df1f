"""Opening what a build left: the same artifacts, nothing made, and what is missing named."""

import numpy as np
import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.go.built import open_built
from retrieve_rl.go.index import neighbors_of


def files_below(folder):
    return sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file())


def test_what_is_opened_answers_as_what_was_built(go_config, go_data, go_encoder, go_index, go_run):
    before = files_below(go_run.root)
    built = open_built(go_config, go_run.root)
    assert files_below(go_run.root) == before
    assert built.encoder.digest == go_encoder.digest
    assert built.index.report == go_index.report
    np.testing.assert_array_equal(built.index.keys, go_index.keys)
    np.testing.assert_array_equal(built.data.training_rows, go_data.training_rows)
    rows = np.arange(20)
    found = neighbors_of(go_config, built.data, built.encoder, built.index, rows)
    expected = neighbors_of(go_config, go_data, go_encoder, go_index, rows)
    np.testing.assert_array_equal(found.indices, expected.indices)


def test_nothing_is_made(go_config, tmp_path):
    with pytest.raises(DataError, match="is not there; rrl build-index"):
        open_built(go_config, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "section, change, message",
    [
        ("encoder", {"channels": 9}, "no checkpoint of step 40.*rrl build-index --force"),
        ("encoder", {"steps": 41}, "no checkpoint of step 41.*rrl build-index --force"),
        ("keys", {"dim": 4}, "is not an artifact.*; rrl build-index --force"),
        ("index", {"kind": "scann"}, "is not an artifact.*; rrl build-index --force"),
    ],
)
def test_what_is_missing_is_said(go_config, go_index, go_run, section, change, message):
    part = getattr(go_config, section).model_copy(update=change)
    before = files_below(go_run.root)
    with pytest.raises(DataError, match=message):
        open_built(go_config.model_copy(update={section: part}), go_run.root)
    assert files_below(go_run.root) == before
