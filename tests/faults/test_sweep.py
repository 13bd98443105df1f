"""Some of the calls that change the disk fail, or are the last of their process."""

import os
from pathlib import Path

import pytest
from commands import Command, call, prepare
from inputs import COMMANDS
from shim import Killed, Shim, shimmed
from sweep import damaged, left_lying, sweep

from retrieve_rl import artifacts, durable


@pytest.mark.parametrize(
    "name, every",
    [
        ("exact index", 5),
        ("ScaNN index", 17),
        ("index replaced", 7),
        ("index grown", 7),
        ("data imported anew", 7),
    ],
)
def test_old_state_or_new_and_the_same_numbers(tmp_path, name, every):
    counts = sweep(COMMANDS[name], tmp_path / "work", every=every)
    assert counts.wrong == []
    assert counts.struck >= 4, counts


def write(path, text):
    with artifacts.create(path, kind="test") as building:
        (building / "a.txt").write_text(text)


@pytest.mark.parametrize("swaps", [True, False])
def test_an_artifact_is_replaced_at_once(tmp_path, monkeypatch, swaps):
    if not swaps:
        monkeypatch.setattr(durable, "exchange", lambda one, other: False)
    path = tmp_path / "thing"
    write(path, "old")
    with shimmed(Shim(tmp_path)) as whole:
        write(path, "new")
    for at in range(1, len(whole.calls) + 1):
        write(path, "old")
        with pytest.raises(Exception, match="disk is full"), shimmed(Shim(tmp_path, at)):
            write(path, "new")
        artifacts.verify(path)
        assert [one.name for one in tmp_path.iterdir() if ".tmp-" in one.name] == []


def test_a_kill_loses_no_artifact_where_folders_cannot_be_swapped(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "exchange", lambda one, other: False)
    path = tmp_path / "thing"
    write(path, "old")
    with shimmed(Shim(tmp_path)) as whole:
        write(path, "new")
    found = set()
    for at in range(1, len(whole.calls) + 1):
        write(path, "old")
        with pytest.raises(Killed), shimmed(Shim(tmp_path, at, mode="die")):
            write(path, "new")
        with artifacts.lock(path):
            artifacts.verify(path)
        found.add((path / "a.txt").read_text())
        assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []
    assert found == {"old", "new"}


def test_a_dead_process_changes_nothing(tmp_path):
    shim = Shim(tmp_path, at=3, mode="die")
    with pytest.raises(Killed), shimmed(shim), open(tmp_path / "a", "w") as file:
        file.write("in a buffer")
        os.mkdir(tmp_path / "b")
    with pytest.raises(Killed), shimmed(shim):
        os.unlink(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "" and not (tmp_path / "b").exists()
    assert shim.calls == ["open a", "write a", "mkdir b"]


def test_damage_and_litter_are_seen(tmp_path):
    folder = prepare(Command("none", ()), tmp_path / "work")
    write(folder / "thing", "old")
    (folder / "thing" / "a.txt").write_text("other")
    (folder / "result.json").write_text("{")
    (folder / ".thing.tmp-1").mkdir()
    assert len(damaged(folder)) == 2 and left_lying(folder) == [".thing.tmp-1"]
    assert call(("list", "tasks", "--json"), Path(folder)).exit_code == 0
