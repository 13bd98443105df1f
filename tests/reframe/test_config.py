"""Configs of runs: layers, refusals, and a hash that every field changes."""

import itertools
import json

import pytest

from retrieve_rl.config import Strict, named_files
from retrieve_rl.errors import UsageError
from retrieve_rl.reframe.config import ReframeConfig, config_hash, default_experts, resolve

OWN_TASK = """
[env]
id = "Own-v0"
target_return = 250.0
[data]
dataset = "mujoco/own/medium-v0"
experts = "mujoco/own/expert-v0"
num_experts = 7
expert_share = 0.125
[train]
steps = 11
batch_size = 24
"""


def test_every_shipped_combination_loads_with_a_hash_of_its_own():
    hashes = {}
    for names in itertools.product(*map(named_files, ("tasks", "presets", "arms"))):
        task, preset, arm = names
        config = resolve(task, preset=preset, arm=arm)
        assert (config.task, config.preset, config.arm) == names
        hashes[config_hash(config)] = names
        assert ReframeConfig.model_validate_json(config.model_dump_json()) == config
    assert len(hashes) == 4 * 4 * len(named_files("arms"))


def test_arms_are_what_the_design_says():
    def arm(name):
        return resolve("hopper-medium", arm=name)

    assert {"reframe", "reframe-literal", "reframe-random", "backbone", "backbone-experts"} <= set(
        named_files("arms")
    )
    assert arm("reframe").retrieves and arm("reframe").experts_in_batch > 0
    assert not arm("backbone").retrieves and arm("backbone").experts_in_batch == 0
    assert not arm("backbone-experts").retrieves
    assert arm("backbone-experts").experts_in_batch == arm("reframe").experts_in_batch
    assert arm("bc-experts").experts_in_batch == arm("bc-experts").train.batch_size
    assert arm("bc-top10").data.top_fraction == 0.1
    assert arm("reframe-random").retrieval.source == "random"
    assert arm("nearest-expert").train.steps == 0 and not arm("nearest-expert").needs_autoencoder
    literal = arm("reframe-literal")
    assert literal.data.expert_share == 0 and literal.retrieval.lookup == "nearest"
    assert (literal.retrieval.query, literal.retrieval.correction) == ("encoder", "add")


def test_later_layers_win(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(OWN_TASK)
    config = resolve(str(own), preset="smoke", arm="bc-experts", settings=["train.steps=13"])
    assert config.task == "own" and config.env.id == "Own-v0"
    assert config.train.batch_size == 24  # the task, over the default
    assert config.data.num_experts == 10  # the preset, over the task
    assert config.data.expert_share == 1.0  # the arm, over the task
    assert config.train.steps == 13  # a setting, over all
    with pytest.raises(UsageError, match="use --seed"):  # what names the run is not a setting
        resolve(str(own), settings=["seed=5"])
    assert resolve(str(own), arm="reframe").train.steps == 20_000  # the preset
    later = resolve(str(own), settings=["train.steps=1", "train.steps=2"])
    assert later.train.steps == 2


@pytest.mark.parametrize("left_out", ["id", "target_return", "dataset", "experts"])
def test_what_a_task_must_say_itself(tmp_path, left_out):
    own = tmp_path / "own.toml"
    lines = [line for line in OWN_TASK.splitlines() if not line.startswith(f"{left_out} =")]
    own.write_text("\n".join(lines))
    with pytest.raises(UsageError, match=rf"a task must say (env|data)\.{left_out}$"):
        resolve(str(own))


def test_another_code_of_an_own_backbone_is_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = resolve("hopper-medium", settings=["backbone=code_of_my_own:Mine"])
    hashes = set()
    for code in ("width = 64", "width = 512"):
        (tmp_path / "code_of_my_own.py").write_text(code)
        hashes.add(config_hash(config))
    assert len(hashes) == 2 and config_hash(config) in hashes
    (tmp_path / "code_of_my_own.py").unlink()
    with pytest.raises(UsageError, match="there is no module code_of_my_own"):
        config_hash(config)


def test_named_data_wins_over_the_task():
    config = resolve("hopper-medium", dataset="mujoco/hopper/medium-v0")
    assert config.data.dataset_id == "mujoco/hopper/medium-v0"
    assert config.data.experts_id == "mujoco/hopper/expert-v0"
    config = resolve("hopper-medium", dataset="a.hdf5", experts="b.hdf5", preset="smoke")
    assert (config.data.dataset_id, config.data.experts_id) == ("a.hdf5", "b.hdf5")
    for own in ("a.hdf5", "d4rl/mine", "mine-v0"):
        with pytest.raises(UsageError, match=f"--dataset {own} has no expert data.*--experts"):
            resolve("hopper-medium", dataset=own)
    assert default_experts("rrl/walker2d/medium-v0") == "rrl/walker2d/expert-v0"
    assert default_experts("somewhere/a.hdf5") is None


def test_only_bundled_sets_have_a_short_version():
    assert resolve("hopper-medium", preset="smoke").data.dataset_id == "rrl/hopper/medium-short-v0"
    assert resolve("hopper-medium", preset="quick").data.dataset_id == "rrl/hopper/medium-v0"
    hosted = resolve("hopper-medium", preset="smoke", dataset="mujoco/hopper/medium-v0")
    assert hosted.data.dataset_id == "mujoco/hopper/medium-v0"


@pytest.mark.parametrize(
    "setting, message",
    [
        ("train.step=1", r"did you mean train.steps\?"),
        ("trian.steps=1", r"did you mean train\?"),
        ("train.steps=-1", "train.steps"),
        ("train.steps=1.5", "train.steps"),
        ("train.steps=nan", "train.steps"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate"),
        ("env.score_min=1.0", None),
        ("env.score_max=-20.272305", "must lie above env.score_min"),
        ("env.score_table=''", "go together"),
        ("data.expert_share=1.1", "data.expert_share"),
        ("retrieval.source=nobody", "retrieval.source"),
        ("paper=go", "paper"),
        ("steps", "key=value"),
    ],
)
def test_bad_settings(setting, message):
    if message is None:
        assert resolve("hopper-medium", settings=[setting]).env.score_min == 1.0
        return
    with pytest.raises(UsageError, match=message):
        resolve("hopper-medium", settings=[setting])


@pytest.mark.parametrize("names", [{"preset": "smok"}, {"arm": "refram"}])
def test_unknown_names(names):
    with pytest.raises(UsageError, match="did you mean"):
        resolve("hopper-medium", **names)
    with pytest.raises(UsageError, match="did you mean hopper-medium"):
        resolve("hopper-mediun")


def changed(model: Strict):
    """(name, model with that one field replaced), for every field, sections included."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Strict):
            for inner, section in changed(value):
                yield f"{name}.{inner}", model.model_copy(update={name: section})
        else:
            other = {bool: not value, int: 1, float: 0.5, str: "x", type(None): 1.0}[type(value)]
            other = other if isinstance(value, bool | None) else value + other
            other = "mlp" if name == "backbone" else other
            yield name, model.model_copy(update={name: other})


def test_every_field_changes_the_hash():
    config = resolve("hopper-medium")
    without_bounds = config.model_copy(
        update={"env": config.env.model_copy(update={"score_min": None})}
    )
    hashes = {"": config_hash(config), "none": config_hash(without_bounds)}
    for name, other in changed(config):
        hashes[name] = config_hash(other)
    assert len(set(hashes.values())) == len(hashes) > 35


def test_the_hash_survives_json():
    config = resolve("hopper-medium", settings=["optimizer.learning_rate=3e-4"])
    document = json.loads(json.dumps(config.model_dump(mode="json")))
    again = ReframeConfig.model_validate_json(json.dumps(document))
    assert config_hash(again) == config_hash(config)


def test_seeds_from_100_tune():
    assert not resolve("hopper-medium", seed=99).tuning
    assert resolve("hopper-medium", seed=100).tuning
