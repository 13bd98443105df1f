"""Designs: validated whole, expanded in a fixed order."""

import pytest

from retrieve_rl.config import named_files
from retrieve_rl.errors import UsageError
from retrieve_rl.reframe.config import config_hash
from retrieve_rl.study.design import StudyDesign, cells, load_design

DESIGN = """
title = "T"
tasks = ["hopper-medium", "walker2d-medium"]
arms = ["backbone", "reframe"]
preset = "smoke"
seeds = [1, 0]
[grid]
"data.num_experts" = [3, 1]
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return str(path)

    return write


def test_every_combination_is_a_cell_in_order(write):
    grid = cells(load_design(write(DESIGN)))
    assert len(grid) == 16
    assert [cell.label for cell in grid[:5]] == [
        "hopper-medium backbone data.num_experts=3 seed=1",
        "hopper-medium backbone data.num_experts=3 seed=0",
        "hopper-medium backbone data.num_experts=1 seed=1",
        "hopper-medium backbone data.num_experts=1 seed=0",
        "hopper-medium reframe data.num_experts=3 seed=1",
    ]
    assert len({config_hash(cell.config) for cell in grid}) == 16
    for cell in grid:
        assert cell.config.data.num_experts == cell.settings["data.num_experts"]
        assert (cell.config.task, cell.config.arm) == (cell.task, cell.arm)
        assert (cell.config.seed, cell.config.preset) == (cell.seed, "smoke")


def test_options_narrow_a_study(write):
    design = load_design(write(DESIGN), task="hopper-medium-replay", preset="quick", seed=7)
    assert (design.tasks, design.preset, design.seeds) == (["hopper-medium-replay"], "quick", [7])
    assert len(cells(design)) == 4


def test_settings_hold_everywhere_and_the_grid_wins(write):
    grid = cells(load_design(write(DESIGN)), ["train.steps=3", "data.num_experts=9"])
    assert {cell.config.train.steps for cell in grid} == {3}
    assert {cell.config.data.num_experts for cell in grid} == {3, 1}


def test_text_and_lists_can_vary(write):
    text = DESIGN.replace('"data.num_experts" = [3, 1]', 'backbone = ["dt", "mlp"]')
    assert {cell.config.backbone for cell in cells(load_design(write(text)))} == {"dt", "mlp"}


@pytest.mark.parametrize(
    "text, message",
    [
        ('title = "T"', "tasks.*nothing"),
        (DESIGN.replace('arms = ["backbone", "reframe"]', "arms = []"), "arms"),
        (DESIGN.replace("seeds = [1, 0]", "seeds = []"), "seeds"),
        (DESIGN.replace("seeds", "sedes"), "did you mean seeds"),
        (DESIGN.replace("[grid]", "[grid"), "not valid TOML"),
    ],
)
def test_broken_designs(write, text, message):
    with pytest.raises(UsageError, match=message):
        load_design(write(text))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("data.num_experts", "data.num_expert", "did you mean data.num_experts"),
        ("[3, 1]", "[3, 0]", "data.num_experts"),
        ('"reframe"', '"refram"', "did you mean reframe"),
        ("hopper-medium", "hoper-medium", "did you mean hopper-medium"),
    ],
)
def test_a_cell_that_cannot_be_configured_stops_before_any_runs(write, old, new, message):
    with pytest.raises(UsageError, match=message):
        cells(load_design(write(DESIGN.replace(old, new))))


def test_every_shipped_study_expands():
    for name in named_files("ablations"):
        design = load_design(name)
        assert isinstance(design, StudyDesign) and cells(design)
    with pytest.raises(UsageError, match="did you mean memory-size"):
        load_design("memory-sizes")
