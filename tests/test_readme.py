"""The commands of the pages run and their numbers are those of the result files."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from retrieve_rl.cli.app import app
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import datasets
from retrieve_rl.report.design_of import design_of
from retrieve_rl.report.markdown import table_in_markdown
from retrieve_rl.report.side_by_side import side_by_side
from retrieve_rl.study.table import in_design_order

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted(
        [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "experiments/README.md"]
        + list((ROOT / "docs").glob("*.md"))
    )
}
TINY = (
    "--preset smoke --set train.steps=2 --set memory.steps=2 --set evaluate.episodes=1"
    " --set backbone=mlp --no-progress"
)


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def rrl_lines(text: str = README) -> list[str]:
    lines = "\n".join(blocks("bash", text)).splitlines()
    commands = [part.split("#")[0].strip() for line in lines for part in line.split("&&")]
    return [command for command in commands if command.startswith("rrl ")]


RECIPES = README.partition("## Bend it")[2].partition("\n## ")[0] + PAGES["docs/extend.md"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    for block in blocks("toml", RECIPES) + blocks("python", RECIPES):
        name = re.match(r"# (\S+\.(?:toml|py))\n", block)
        if name:
            (tmp_path / name[1]).write_text(block)
    return tmp_path


def write_d4rl(path: Path, first: int) -> None:
    """Five expert episodes, from the given one on."""
    experts = datasets.load("rrl/hopper/expert-short-v0", Reporter(-1))
    episodes = experts.select(np.arange(first, first + 5))
    ends = np.zeros(episodes.num_steps, bool)
    ends[episodes.offsets[1:] - 1] = True
    with h5py.File(path, "w") as file:
        file["observations"] = episodes.observations
        file["actions"] = episodes.actions
        file["rewards"] = episodes.rewards
        file["terminals"] = ends
        file["timeouts"] = np.zeros_like(ends)


TRAINING = [line for line in rrl_lines(RECIPES) if line.startswith("rrl train-policy")]
INDEXING = [line for line in rrl_lines(RECIPES) if "my-index" in line]


@pytest.mark.parametrize("command", TRAINING)
@pytest.mark.filterwarnings("ignore:.*The environment Hopper-v4 is out of date")
def test_recipe_runs(folder, command):
    if "replay.hdf5" in command:
        write_d4rl(folder / "replay.hdf5", first=0)
        write_d4rl(folder / "experts.hdf5", first=5)
    own = "" if "my_task" in command else "--set data.num_experts=2"
    backbone = TINY.replace("--set backbone=mlp", "") if "my_backbone" in command else TINY
    arguments = shlex.split(f"{command} {backbone} {own} --json --runs {folder / 'runs'}")[1:]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["status"] == "ok"
    if "my_task" in command:
        assert document["summary"]["measure"] == "return_raw"
        assert "normalized_score_100" not in document["summary"]
    if "my_backbone" in command:
        assert document["config"]["backbone"] == "my_backbone:Wide"
    if "replay.hdf5" in command:
        assert document["inputs"]["env_id"] == "Hopper-v4"


def test_own_study_has_the_cells_of_its_grid(folder):
    (command,) = [line for line in rrl_lines(RECIPES) if line.startswith("rrl ablate")]
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--dry-run", "--runs", "runs"])
    assert result.exit_code == 0, result.output
    assert "18 cells of preset quick" in result.output


def test_recipes_are_short():
    recipes = blocks("bash", RECIPES) + blocks("toml", RECIPES) + blocks("python", RECIPES)
    assert len(recipes) >= 4
    assert max(len(recipe.strip().splitlines()) for recipe in recipes) <= 17


def run_python(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True
    )
    return done.stdout


def test_own_keys_are_indexed_grown_and_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (writing,) = [block for block in blocks("python", RECIPES) if "np.savez" in block]
    run_python(writing, tmp_path)
    for command in INDEXING:
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
    (code,) = [block for block in blocks("python", RECIPES) if "open_memory" in block]
    assert run_python(code, tmp_path).startswith("(5, 8)")


def test_search_inside_jit_runs(tmp_path):
    (code,) = [block for block in blocks("python", RECIPES) if "nearest" in block]
    assert run_python(code, tmp_path).startswith("(5, 8)")


SHOWN = (
    "report",
    "build-index",
    "compare",
    "data",
    "doctor",
    "evaluate",
    "gtp",
    "list",
    "neighbors",
    "show",
    "verify",
)
"""Commands of which only the help is asked for."""


COMMANDS = {line for page in PAGES.values() for line in rrl_lines(page)} - set(rrl_lines(RECIPES))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_command_parses(command, tmp_path):
    words = shlex.split(command)[1:]
    arguments = [*words, "--help"] if words[0] in SHOWN else words
    if words[0] in ("train-amb", "train-policy", "ablate"):
        arguments = [*words, "--dry-run", "--runs", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output


TABLES = [
    (page, name, shown)
    for page, text in PAGES.items()
    for name, shown in re.findall(r"<!-- table: (\S+) -->\n(.*?)\n<!-- end", text, re.DOTALL)
]


@pytest.mark.parametrize("page, name, shown", TABLES)
def test_table_is_the_one_that_a_report_of_the_result_file_has(page, name, shown):
    report = json.loads((ROOT / name).read_text())
    design = design_of(report, name)
    table = side_by_side(in_design_order(report["summary"], design), design)
    assert shown == table_in_markdown(table)


FACTS = re.compile(r"<!-- facts: (.+?) -->\n(.*?)<!-- end", re.DOTALL)
"""The result files above a table, and the table."""


def facts(page: str) -> Iterator[tuple[str, str, float]]:
    """What the tables of a page show, the name of each number, and the number in the result file.

    A cell is `0.4 <!-- recall_at_10 -->`, or `0.4 <!-- go9-index: recall_at_10 -->` in a table that
    several result files stand above.
    """
    for names, table in FACTS.findall(page):
        results = {Path(name).stem: json.loads((ROOT / name).read_text()) for name in names.split()}
        for line in table.strip().splitlines()[2:]:
            for cell in line.strip("|").split("|")[1:]:
                assert not cell.strip(" -")[:1].isdigit() or "<!--" in cell, f"{names}: {cell}"
        for shown, key in re.findall(r"(-?\d[\d,.]*) <!-- (.+?) -->", table):
            stem, separator, own = key.partition(": ")
            value = results[stem if separator else Path(names).stem]["summary"]
            name = own if separator else key
            for part in name.split("/" if "/" in name else "."):
                value = value[part]
            yield shown, key, value


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if "<!-- facts" in text])
def test_facts_are_those_of_the_result_files(page):
    for shown, key, value in facts(PAGES[page]):
        decimals = len(shown.partition(".")[2])
        assert shown == f"{value:,.{decimals}f}", f"{page}: {key}"


def told_as_missed(page: str) -> Iterator[tuple[tuple[str, str], bool]]:
    """Of every number in a table: its result file and name, and whether the table calls it missed:
    beside the number, or at the end of a row whose last cell has none."""
    for names, table in FACTS.findall(page):
        for line in table.strip().splitlines()[2:]:
            cells = line.strip("|").split("|")
            of_row = cells[-1] if "<!--" not in cells[-1] else ""
            for cell in cells:
                for key in re.findall(r"<!-- (.+?) -->", cell):
                    result, _, measure = key.rpartition(".")
                    yield (result or Path(names).stem, measure), "missed" in cell + of_row


def test_what_missed_its_goal_is_told_as_missed():
    bench = json.loads((ROOT / "experiments/results/bench.json").read_text())
    goals = [goal for row in bench["rows"] for goal in row["goals"]]
    missed = {(Path(goal["result"]).stem, goal["measure"]): goal["met"] is False for goal in goals}
    told = [one for one in told_as_missed(PAGES["docs/performance.md"]) if one[0] in missed]
    assert len(told) > 30
    assert [which for which, said in told if said != missed[which]] == []


def test_pages_have_tables_and_facts():
    assert {page for page, _, _ in TABLES} >= {"README.md", "experiments/README.md"}
    assert sum(len(list(facts(page))) for page in PAGES.values()) > 100


def test_bench_json_is_gathered_from_the_results_beside_it():
    results = ROOT / "experiments/results"
    for name, summary in json.loads((results / "bench.json").read_text())["summary"].items():
        assert json.loads((results / f"{name}.json").read_text())["summary"] == summary, name


def test_readme_is_short():
    assert len(README.splitlines()) <= 260


def anchors(page: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", PAGES[page])
    for target, anchor in links:
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(path.read_text()), f"{page}: {target}#{anchor}"
