"""The same command after its data was replaced: old numbers are never given for the new bytes."""

import json

import h5py
import numpy as np
import pytest

from retrieve_rl.documents import write_document
from retrieve_rl.reframe import policy, recipes
from retrieve_rl.reframe import train as training
from retrieve_rl.reframe.config import resolve
from retrieve_rl.reframe.data import changed_since, inputs_at_hand

SETTINGS = {
    "data.num_experts": 2,
    "env.max_steps": 5,
    "mlp.width": 8,
    "train.steps": 2,
    "train.batch_size": 4,
    "train.context_len": 2,
    "evaluate.episodes": 1,
}


def write(path, seed):
    """Eight episodes of five steps, of Hopper's widths."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file["observations"] = rng.normal(size=(40, 11)).astype(np.float32)
        file["actions"] = rng.uniform(-1, 1, (40, 3)).astype(np.float32)
        file["rewards"] = rng.random(40, np.float32)
        file["terminals"] = np.arange(40) % 5 == 4
        file["timeouts"] = np.zeros(40, bool)
    return path


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "data.hdf5", 0), write(tmp_path / "experts.hdf5", 1)


@pytest.fixture
def train(invoke, tmp_path, own_cache):
    """train(dataset, experts, ...): the result of the command."""

    def call(dataset, experts, *words, command="train-policy"):
        words = ["--task", "hopper-medium", "--preset", "smoke", "--arm", "bc-experts", *words]
        for key, value in SETTINGS.items():
            words += ["--set", f"{key}={value}"]
        where = ["--dataset", dataset, "--experts", experts, "--runs", tmp_path / "runs", "-q"]
        return invoke(command, *words, *where)

    return call


@pytest.mark.parametrize("changed", [0, 1])
def test_a_finished_run_is_not_the_result_of_another_file(train, files, document, changed):
    first = document(train(*files, "--json"))
    assert document(train(*files, "--json")) == first
    assert train(*files, command="evaluate").exit_code == 0
    write(files[changed], 2)
    for command in ("train-policy", "evaluate"):
        refused = train(*files, command=command)
        assert refused.exit_code == 5 and refused.stdout.count("return_raw") == 0
        role = ("dataset", "experts")[changed]
        assert f"the file_sha256 of its {role} is" in refused.stderr and "--force" in refused.stderr
    again = document(train(*files, "--json", "--force"))
    assert again["inputs"] != first["inputs"] and again["outcomes"] != first["outcomes"]


def test_training_does_not_go_on_over_another_file(train, files, tmp_path):
    assert train(*files).exit_code == 0
    (result,) = tmp_path.glob("runs/train-policy/*/*/result.json")
    result.unlink()
    write(files[0], 2)
    refused = train(*files)
    assert refused.exit_code == 5 and not result.exists()
    assert "was trained on another dataset" in refused.stderr and "--force" in refused.stderr
    assert train(*files, "--force").exit_code == 0


def test_a_name_that_was_imported_again(train, invoke, files):
    data, experts = files
    for file, name in ((data, "mine"), (experts, "best")):
        assert invoke("data", "import", file, "--name", name).exit_code == 0
    named = ("d4rl/mine", "d4rl/best")
    assert train(*named).exit_code == 0
    assert train(*named).exit_code == 0
    assert invoke("data", "import", write(data, 2), "--name", "mine").exit_code == 0
    refused = train(*named)
    assert refused.exit_code == 5 and "the sha256 of its dataset is" in refused.stderr


def test_a_cell_is_not_filled_with_a_run_of_the_file_before(invoke, own_cache, files, tmp_path):
    data, experts = files
    settings = {**SETTINGS, "data.dataset": str(data), "data.experts": str(experts)}
    study = tmp_path / "study.toml"
    lines = [f'"{key}" = {json.dumps(value)}' for key, value in settings.items()]
    study.write_text(
        'title = "T"\ntasks = ["hopper-medium"]\narms = ["bc-experts"]\npreset = "smoke"\n'
        + "\n".join(["[settings]", *lines])
    )
    cells = tmp_path / "cells"
    words = ["ablate", study, "--runs", tmp_path / "runs", "--cells", cells, "-q"]
    assert invoke(*words).exit_code == 0
    write(data, 2)
    failed = invoke(*words, "--json")
    assert failed.exit_code == 6 and len(list(cells.rglob("*.json"))) == 1
    assert "is finished, but of other data" in json.loads(failed.stdout)["cells"][0]["error"]
    assert invoke(*words, "--force").exit_code == 0
    outcomes = [json.loads(path.read_text())["outcomes"] for path in cells.rglob("*.json")]
    assert len(outcomes) == 2 and outcomes[0] != outcomes[1]


def test_an_evaluation_is_not_that_of_another_training(train, files, document, monkeypatch):
    assert train(*files).exit_code == 0
    judged = document(train(*files, "--json", command="evaluate"))
    assert document(train(*files, "--json", command="evaluate")) == judged

    def other_weights(config, *widths):
        return policy.new_policy(config.model_copy(update={"seed": 9}), *widths)

    monkeypatch.setattr(training, "new_policy", other_weights)
    trained = document(train(*files, "--json", "--force"))
    refused = train(*files, command="evaluate")
    assert refused.exit_code == 5 and refused.stdout.count("return_raw") == 0
    assert "the checkpoint_sha256 of its training is" in refused.stderr
    assert "--force" in refused.stderr
    again = document(train(*files, "--json", "--force", command="evaluate"))
    names = "checkpoint_sha256", "steps", "parameters"
    assert all(again["training"][name] == trained["training"][name] for name in names)
    assert again["training"] != judged["training"]


def test_an_evaluation_that_does_not_name_its_checkpoint_is_still_read(
    train, files, document, tmp_path
):
    assert train(*files).exit_code == 0
    judged = document(train(*files, "--json", command="evaluate"))
    (path,) = tmp_path.glob("runs/evaluate/*/*/result.json")
    del judged["training"]["checkpoint_sha256"]
    write_document(path, judged)
    assert document(train(*files, "--json", command="evaluate")) == judged


def test_a_raised_recipe_makes_other_data(monkeypatch):
    config = resolve("hopper-medium", preset="smoke")
    recorded = inputs_at_hand(config)
    assert changed_since(config, recorded) == []
    monkeypatch.setattr(recipes, "RECIPE_VERSION", 2)
    told = changed_since(config, recorded)
    assert len(told) == 2 and "medium-short-v0@1, now rrl/hopper/medium-short-v0@2" in told[0]
