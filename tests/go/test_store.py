"""The store: what is written is what is opened, and nothing else is."""

import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.go.games import Source, read_records
from retrieve_rl.go.store import open_store, write_store
from retrieve_rl.progress import Reporter


@pytest.fixture
def records(tmp_path, random_sgf):
    path = tmp_path / "games.sgf"
    header = "KM[7]RE[B+3]PB[Žofie]RU[Chinese]"
    path.write_bytes(random_sgf(0, header=header) + random_sgf(1) + b"(;SZ[19])")
    silent = Reporter(verbosity=-1)
    return read_records([Source(path)], fraction=1.0, seed=0, workers=1, reporter=silent)


def write(path, records):
    write_store(path, records, made_from={"games.sgf": "0" * 64}, metadata={"fraction": 1.0})


def test_round_trip(tmp_path, records):
    write(tmp_path / "store", records)
    store = open_store(tmp_path / "store")
    for one, other in zip(store.positions, records.positions, strict=True):
        np.testing.assert_array_equal(one, other)
        assert isinstance(one, np.memmap) and one.dtype == other.dtype
    for name, column in records.games.columns.items():
        np.testing.assert_array_equal(store.games.columns[name], column)
    assert store.games.texts == records.games.texts
    assert store.manifest.metadata == {
        "fraction": 1.0,
        "games": 2,
        "positions": 80,
        "rejected": {"another board size": 1},
    }
    assert store.manifest.made_from == {"games.sgf": "0" * 64}


def test_the_same_records_make_the_same_store(tmp_path, records):
    for name in ("a", "b"):
        write(tmp_path / name, records)
    first, second = (artifacts.verify(tmp_path / name) for name in ("a", "b"))
    assert first.digest == second.digest


def test_damage_and_other_artifacts_are_refused(tmp_path, records):
    write(tmp_path / "store", records)
    column = tmp_path / "store" / "positions" / "ko.npy"
    data = bytearray(column.read_bytes())
    data[-1] ^= 1
    column.write_bytes(data)
    with pytest.raises(DataError, match="has changed"):
        open_store(tmp_path / "store")
    with artifacts.create(tmp_path / "other", kind="memory"):
        pass
    with pytest.raises(DataError, match="expected a positions"):
        open_store(tmp_path / "other")


def test_columns_that_do_not_fit_are_refused(tmp_path, records):
    short = records.positions._replace(ko=records.positions.ko[:-1])
    write(tmp_path / "short", type(records)(short, records.games, records.rejected))
    with pytest.raises(DataError, match="rows"):
        open_store(tmp_path / "short")
    with artifacts.create(tmp_path / "empty", kind="positions"):
        pass
    with pytest.raises(DataError, match="rebuild"):
        open_store(tmp_path / "empty")
