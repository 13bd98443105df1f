"""Designs: validated whole, expanded in a fixed order, of either paper."""

from dataclasses import replace

import pytest

from retrieve_rl.cli.papers import paper_of_task
from retrieve_rl.config import named_files
from retrieve_rl.errors import UsageError
from retrieve_rl.study import design
from retrieve_rl.study.design import StudyDesign, load_design

DESIGN = """
title = "T"
tasks = ["hopper-medium", "walker2d-medium"]
arms = ["backbone", "reframe"]
preset = "smoke"
seeds = [1, 0]
[grid]
"data.num_experts" = [3, 1]
"""
GO = """
title = "G"
tasks = ["go9"]
arms = ["retrieval"]
preset = "smoke"
[settings]
"index.num_neighbors" = 20
"retrieval.dropout" = 0.5
[grid]
"retrieval.num_neighbors" = [1, 20]
[[also]]
arms = ["baseline"]
[[also]]
arms = ["retrieval"]
grid = { "retrieval.dropout" = [0.0] }
"""


def cells(text_design, settings=()):
    return design.cells(text_design, paper_of_task, settings)


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
    assert len({cell.key for cell in grid}) == 16
    for cell in grid:
        assert cell.config.data.num_experts == cell.settings["data.num_experts"]
        assert (cell.config.task, cell.config.arm) == (cell.task, cell.arm)
        assert (cell.config.seed, cell.config.preset) == (cell.seed, "smoke")


def test_a_study_of_go_with_blocks_of_its_own(write):
    grid = cells(load_design(write(GO)))
    assert [cell.label for cell in grid] == [
        "go9 retrieval retrieval.num_neighbors=1 seed=0",
        "go9 retrieval retrieval.num_neighbors=20 seed=0",
        "go9 baseline seed=0",
        "go9 retrieval retrieval.dropout=0.0 seed=0",
    ]
    assert {cell.config.index.num_neighbors for cell in grid} == {20}
    assert [cell.config.retrieval.dropout for cell in grid] == [0.5, 0.5, 0.5, 0.0]
    assert {cell.paper.name for cell in grid} == {"go"}
    assert len({cell.key for cell in grid}) == 4


def test_a_block_has_its_own_settings_before_the_studys(write):
    text = GO.replace(
        '[[also]]\narms = ["baseline"]',
        '[[also]]\narms = ["baseline"]\n[also.settings]\n"retrieval.dropout" = 0.25',
    )
    grid = cells(load_design(write(text)))
    assert [cell.config.retrieval.dropout for cell in grid] == [0.5, 0.5, 0.25, 0.0]
    assert {cell.config.index.num_neighbors for cell in grid} == {20}
    assert grid[2].label == "go9 baseline seed=0"
    with pytest.raises(UsageError, match=r"sets retrieval\.dropout for some arms; copy its TOML"):
        cells(
            load_design(write(text.split('[[also]]\narms = ["retrieval"]')[0])),
            ["retrieval.dropout=0.1"],
        )


def test_a_study_is_of_one_paper(write):
    with pytest.raises(UsageError, match="one paper.*hopper-medium is of reframe, go9 is of go"):
        cells(load_design(write(DESIGN.replace('"walker2d-medium"', '"go9"'))))


def test_options_narrow_a_study(write):
    narrow = load_design(write(DESIGN), task="hopper-medium-replay", preset="quick", seed=7)
    assert (narrow.tasks, narrow.preset, narrow.seeds) == (["hopper-medium-replay"], "quick", [7])
    assert len(cells(narrow)) == 4


def test_a_table_called_like_a_preset_holds_for_it_alone(write):
    text = DESIGN + '[quick]\nseeds = [5]\n[paper.grid]\n"data.num_experts" = [60]\n'
    assert load_design(write(text)).seeds == [1, 0]
    assert load_design(write(text), preset="quick").seeds == [5]
    assert load_design(write(text), preset="paper").grid == {"data.num_experts": [60]}
    of_the_study = text.replace('preset = "smoke"', 'preset = "quick"')
    assert load_design(write(of_the_study)).seeds == [5]


def test_keys_need_no_quotes(write):
    unquoted = DESIGN.replace('"data.num_experts"', "data.num_experts")
    assert load_design(write(unquoted)) == load_design(write(DESIGN))
    text = unquoted + (
        "[settings.train]\nsteps = 5\n[smoke.grid.data]\nnum_experts = [2]\n[smoke.settings]\n"
        'train.batch_size = 4\n[[also]]\narms = ["reframe-random"]\n'
        "[also.settings.train]\nsteps = 6\n[also.grid]\nretrieval.num_neighbors = [1]\n"
    )
    grid = cells(load_design(write(text), task="hopper-medium", seed=0))
    assert [cell.label for cell in grid] == [
        "hopper-medium backbone data.num_experts=2 seed=0",
        "hopper-medium reframe data.num_experts=2 seed=0",
        "hopper-medium reframe-random retrieval.num_neighbors=1 seed=0",
    ]
    assert [cell.config.train.steps for cell in grid] == [5, 5, 6]
    assert [cell.config.train.batch_size for cell in grid] == [4, 4, 4]
    broken = DESIGN.replace('"data.num_experts" = [3, 1]', "data.num_experts = 3")
    with pytest.raises(UsageError, match=r"grid\.data\.num_experts: .*array"):
        load_design(write(broken))


def test_an_arm_of_two_settings_without_a_grid_would_be_one_row(write):
    text = GO.replace('grid = { "retrieval.dropout" = [0.0] }', "settings.model.channels = 4")
    text = text.replace('[grid]\n"retrieval.num_neighbors" = [1, 20]\n', "")
    with pytest.raises(UsageError, match="go9 retrieval seed=0: .*two blocks .*settings alone"):
        cells(load_design(write(text)))


def test_settings_hold_everywhere_and_none_of_what_varies(write):
    grid = cells(load_design(write(DESIGN)), ["train.steps=3"])
    assert {cell.config.train.steps for cell in grid} == {3}
    assert {cell.config.data.num_experts for cell in grid} == {3, 1}
    with pytest.raises(UsageError, match=r"varies data\.num_experts; copy its TOML"):
        cells(load_design(write(DESIGN)), ["data.num_experts=9"])


def test_two_files_of_tasks_with_one_name_are_refused(stub):
    def resolve(task, **choice):
        return stub.resolve("easy", **choice)

    two = StudyDesign(title="T", tasks=["a/easy.toml", "b/easy.toml"], arms=["plain"])
    with pytest.raises(UsageError, match="two cells are called easy plain seed=0"):
        design.cells(two, lambda task: replace(stub.PAPER, resolve=resolve))


def test_text_and_lists_can_vary(write):
    text = DESIGN.replace('"data.num_experts" = [3, 1]', 'backbone = ["dt", "mlp"]')
    assert {cell.config.backbone for cell in cells(load_design(write(text)))} == {"dt", "mlp"}


def test_tables_in_lists_and_any_text_can_be_set(write):
    text = GO + (
        '[[settings.data.sources]]\nfile = "games.sgf"\nsha256 = "ab"\nheld_out = true\n'
        'players = ["\\"Ω\\"", "𝄞\\n"]\n'
    )
    for cell in cells(load_design(write(text))):
        (source,) = cell.config.data.sources
        assert (source.file, source.sha256, source.held_out) == ("games.sgf", "ab", True)
        assert source.players == ('"Ω"', "𝄞\n")


@pytest.mark.parametrize(
    "text, message",
    [
        ('title = "T"', "tasks is missing"),
        (DESIGN.replace('arms = ["backbone", "reframe"]', "arms = []"), "arms"),
        (DESIGN.replace("seeds = [1, 0]", "seeds = []"), "seeds"),
        (DESIGN.replace("seeds", "sedes"), "did you mean seeds"),
        (DESIGN.replace("[grid]", "[grid"), "not valid TOML"),
        (DESIGN + '[[also]]\narm = ["reframe"]', "also"),
        (DESIGN.replace('"smoke"', '["smoke"]'), r"preset: .*valid string \(found \['smoke'\]\)"),
        (DESIGN.replace("[grid]", "smoke = 3\n[grid]"), r"smoke: expected a table .*found 3"),
        (DESIGN.replace("[grid]", "paper = 3\n[grid]"), r"paper: expected a table .*found 3"),
        (DESIGN.replace("seeds", 'judged = "x"\nseeds'), "judged 'x' is none of the arms"),
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


@pytest.mark.parametrize("preset", [None, "smoke", "quick", "default", "paper"])
@pytest.mark.parametrize("study", named_files("ablations"))
def test_every_shipped_study_can_be_planned(study, preset):
    grid = cells(load_design(study, preset=preset))
    assert len({cell.key for cell in grid}) == len(grid) > 1
    if preset == "smoke":
        assert len(grid) <= 12  # a minute or two


def test_an_unknown_study_is_named(write):
    with pytest.raises(UsageError, match="did you mean memory-size"):
        load_design("memory-sizes")
