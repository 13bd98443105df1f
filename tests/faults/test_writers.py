"""Processes that write the same thing at the same time."""

import pytest
from inputs import COMMANDS
from writers import write_at_once


@pytest.mark.parametrize("name", ["exact index", "data imported"])
def test_one_wins_or_all_wait(name, tmp_path):
    found = write_at_once(COMMANDS[name], tmp_path / "work", writers=3)
    assert found.wrong == []
    assert found.finished >= 1 and found.finished + found.refused == 3
