"""The nearest raw boards: as if every pair had been compared, however many are at a time."""

import numpy as np
import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.go import raw_board
from retrieve_rl.go.raw_board import nearest_boards, stones
from retrieve_rl.go.splits import TEST
from retrieve_rl.go.symmetries import INVERSES


@pytest.mark.parametrize("rows_at_once", [300, 262_144])
@pytest.mark.parametrize("orientations", [1, 8])
def test_every_pair_is_compared(go_data, make_run, monkeypatch, rows_at_once, orientations):
    monkeypatch.setattr(raw_board, "_ROWS_AT_ONCE", rows_at_once)
    positions, queries = go_data.store.positions, go_data.rows_of(TEST)[:40]
    found = nearest_boards(go_data, queries, orientations, make_run())
    known = stones(positions.take(go_data.training_rows), 0)
    turned = [stones(positions.take(queries), turn) for turn in range(orientations)]
    differ = (np.array(turned)[:, :, None] != known).sum(axis=-1)
    least = differ.min(axis=(0, 2))
    np.testing.assert_array_equal(found.distances[:, 0], least)
    turns = INVERSES[found.symmetries[:, 0]]
    rows = np.searchsorted(go_data.training_rows, found.indices[:, 0])
    np.testing.assert_array_equal(differ[turns, np.arange(len(queries)), rows], least)
    np.testing.assert_array_equal(differ[turns, np.arange(len(queries))].argmin(axis=1), rows)
    assert len(set(rows)) > 5 and rows.max() > 300


def test_a_signal_is_obeyed(go_data, make_run):
    run = make_run()
    run.stop.signal_number = 15
    with pytest.raises(Interrupted, match="all is kept but the report"):
        nearest_boards(go_data, go_data.rows_of(TEST), 1, run)
