"""What a cell is known by: recipes, hosted ids, and the bytes of data of the user's own."""

import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.reframe.cell import identity
from retrieve_rl.reframe.config import resolve
from retrieve_rl.reframe.minari_layout import DATA_FILE


@pytest.fixture
def data_of():
    """data_of(dataset, experts): what the identity of a cell of theirs calls them."""

    def named(dataset, experts):
        data = identity(resolve("hopper-medium", dataset=dataset, experts=experts))["data"]
        return {role: data[role] for role in ("dataset", "experts")}

    return named


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write(id, text): a Minari data set of the user's own, remade where it is there."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    def made(name, text):
        file = tmp_path / name / DATA_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return made


def test_a_data_set_that_was_remade_under_its_id_is_another_cell(data_of, write):
    names = ("mine/hopper-v0", "best-v0")
    told = []
    for text in ("first", "second", "first"):
        write(names[0], text)
        write(names[1], "experts")
        told.append(data_of(*names))
    assert told[0] == told[2] and told[0]["dataset"] != told[1]["dataset"]
    assert told[0]["experts"] == told[1]["experts"]
    assert all(
        told[0][role].startswith(f"{name}@")
        for role, name in zip(("dataset", "experts"), names, strict=True)
    )


def test_what_has_a_recipe_or_is_hosted_needs_no_bytes(data_of, write):
    hosted = ("mujoco/hopper/medium-v0", "mujoco/hopper/expert-v0")
    assert data_of(*hosted) == dict(zip(("dataset", "experts"), hosted, strict=True))
    bundled = data_of("rrl/hopper/medium-v0", None)
    assert bundled == {"dataset": "rrl/hopper/medium-v0@1", "experts": "rrl/hopper/expert-v0@1"}
    with pytest.raises(DataError, match="mine-v0 does not exist: a cell is known by the bytes"):
        data_of("mine-v0", "best-v0")
