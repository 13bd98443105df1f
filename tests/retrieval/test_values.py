"""Columns in segments."""

import numpy as np

from retrieve_rl.retrieval.values import Column, open_columns, write_segment


def test_rows_are_taken_across_segments_and_zeros_where_there_is_none():
    column = Column((np.array([[1, 2], [3, 4]]), np.array([[5, 6]])))
    assert len(column) == 3
    taken = column.take(np.array([[2, 0], [-1, 1]]))
    np.testing.assert_array_equal(taken, [[[5, 6], [1, 2]], [[0, 0], [3, 4]]])


def test_rows_of_one_segment_are_taken_as_copies():
    segment = np.array([[1, 2], [3, 4]])
    column = Column((segment,))
    taken = column.take(np.array([1, 0]))
    np.testing.assert_array_equal(taken, [[3, 4], [1, 2]])
    taken[:] = 9
    np.testing.assert_array_equal(segment, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(column.take(np.array([1, -1])), [[3, 4], [0, 0]])


def test_columns_are_mapped_in_the_order_of_their_folders(tmp_path):
    for name, value in (("b", 1), ("a", 2)):
        write_segment(tmp_path / name, {"v": np.full(2, value), "w": np.full((2, 3), value)})
    columns = open_columns([tmp_path / "b", tmp_path / "a"])
    assert list(columns) == ["v", "w"]
    assert all(isinstance(segment, np.memmap) for segment in columns["v"].segments)
    np.testing.assert_array_equal(columns["v"].take(np.arange(4)), [1, 1, 2, 2])
    assert open_columns([]) == {}
