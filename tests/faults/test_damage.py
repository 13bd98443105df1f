"""Damaged artifacts of every kind: noticed, named, and not handed to a native reader."""

import pytest
from artifacts_to_damage import SCENES
from damage import cut_files, flip_bits

from retrieve_rl.errors import DataError


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if not scene.trains])
def test_every_damage_is_noticed_before_a_native_reader_runs(name, tmp_path):
    scene = SCENES[name]
    scene.make(tmp_path)

    def read():
        scene.read(tmp_path)

    read()
    flipped, cut = (
        flip_bits(tmp_path / scene.part, read, 30),
        cut_files(tmp_path / scene.part, read),
    )
    assert flipped.wrong + cut.wrong == []
    assert flipped.noticed == flipped.tried == 30 and cut.noticed == cut.tried > 0


def test_what_is_not_noticed_is_told(tmp_path):
    (tmp_path / "result.json").write_text("{}")

    def too_late():
        raise DataError("something is damaged")

    assert "not noticed" in flip_bits(tmp_path, lambda: None, 1).wrong[0]
    assert "not named" in flip_bits(tmp_path, too_late, 1).wrong[0]
