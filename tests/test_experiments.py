"""Every TOML in `experiments/` loads, no two configs share a hash, and the lock file is sound."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest

from retrieve_rl.config import named_files
from retrieve_rl.go import config as go
from retrieve_rl.reframe.config import config_hash, resolve

REPOSITORY = Path(__file__).resolve().parent.parent
TASKS, PRESETS, ARMS = (sorted(named_files(kind)) for kind in ("tasks", "presets", "arms"))


def test_there_is_what_the_design_names():
    assert set(PRESETS) == {"smoke", "quick", "default", "paper"}
    assert {"hopper-medium", "hopper-medium-replay"} <= set(TASKS)
    assert {"walker2d-medium", "walker2d-medium-replay"} <= set(TASKS)
    assert {
        "reframe",
        "reframe-literal",
        "reframe-random",
        "backbone",
        "backbone-experts",
        "bc-experts",
        "bc-top10",
        "nearest-expert",
    } <= set(ARMS)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_loads_with_every_preset_and_arm(task):
    for preset, arm in itertools.product(PRESETS, ARMS):
        config = resolve(task, preset=preset, arm=arm)
        assert (config.task, config.preset, config.arm) == (task, preset, arm)
        assert config.data.short == (preset == "smoke")


@pytest.mark.parametrize("task", named_files("tasks/go"))
def test_every_task_of_go_loads_with_every_preset_and_arm(task):
    configs = [go.resolve(task, preset=preset) for preset in named_files("presets/go")]
    assert {config.preset for config in configs} >= {"smoke", "quick", "default"}
    assert {config.task for config in configs} == {task}
    configs += [go.resolve(task, arm=arm) for arm in named_files("arms/go") if arm != "retrieval"]
    assert {config.arm for config in configs} >= {"retrieval", "baseline"}
    assert len({go.config_hash(config) for config in configs}) == len(configs)


def test_every_config_has_a_hash_of_its_own():
    choices = list(itertools.product(TASKS, PRESETS, ARMS, (0, 1)))
    hashes = {
        config_hash(resolve(task, preset=preset, arm=arm, seed=seed))
        for task, preset, arm, seed in choices
    }
    assert len(hashes) == len(choices)


@pytest.mark.parametrize(
    "path", sorted(REPOSITORY.glob("experiments/**/*.toml")), ids=lambda path: path.name
)
def test_every_file_is_of_a_known_kind(path):
    kind = path.parent.relative_to(REPOSITORY / "experiments").as_posix()
    assert kind in ("tasks", "presets", "arms", "ablations", "tasks/go", "presets/go", "arms/go")
    tomllib.loads(path.read_text())


def test_the_lock_file_pins_and_hashes_everything_and_names_no_host():
    text = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert len(requirements) > 50
    for requirement in requirements:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_the_lock_file_holds_every_dependency_but_no_other_framework():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    locked = set(
        re.findall(r"^([a-z0-9._-]+)", (REPOSITORY / "requirements.lock").read_text(), re.M)
    )
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in wanted:
        assert re.match(r"[a-z0-9-]+", requirement).group() in locked
    assert not locked & {"torch", "faiss-cpu", "tensorflow"}
