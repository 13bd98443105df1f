"""Bundled data sets from making to loading, and the doors over all families."""

import json
import threading

import minari
import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import bundled, datasets, recipes
from retrieve_rl.reframe.collect import collect_unit
from retrieve_rl.signals import StopRequest

SILENT = Reporter(verbosity=-1)
NAME = "rrl/hopper/medium-replay-v0"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def tiny(monkeypatch):
    """Recipes cut to eight random episodes, made in this process; returns how often one was."""
    made = []

    def find(name):
        return recipes.find_recipe(name).resized(steps=100)

    def collect(recipe, reporter, stop, *, workers=None):
        made.append(recipe.dataset_id)
        return collect_unit(recipe, 0, 0)

    monkeypatch.setattr(datasets, "find_recipe", find)
    monkeypatch.setattr(bundled, "collect", collect)
    return made


def test_made_by_worker_processes_read_by_minari(root, monkeypatch, capsys):
    def find(name):
        return recipes.find_recipe(name).resized(steps=500)

    monkeypatch.setattr(datasets, "find_recipe", find)
    made = datasets.load("rrl/hopper/medium-short-v0", Reporter(), workers=1)
    assert "is not there yet" in capsys.readouterr().err
    assert made.family == "bundled" and made.env_id == "Hopper-v5"
    assert made.recipe == "rrl/hopper/medium-short-v0@1"
    assert made.num_steps >= 500 > made.num_steps - made.lengths[-1]
    read = minari.load_dataset("rrl/hopper/medium-short-v0")
    assert (read.total_episodes, read.total_steps) == (made.num_episodes, made.num_steps)
    assert read.spec.env_spec.id == "Hopper-v5"
    for number, episode in enumerate(read.iterate_episodes()):
        rows = slice(made.offsets[number], made.offsets[number + 1])
        np.testing.assert_array_equal(episode.observations[:-1], made.observations[rows])
        np.testing.assert_array_equal(episode.actions, made.actions[rows])
        np.testing.assert_array_equal(episode.rewards, made.rewards[rows])
        assert episode.terminations[-1] == made.terminated[number] != episode.truncations[-1]
        assert f"id={number}" in repr(episode)
    assert list(minari.list_local_datasets()) == ["rrl/hopper/medium-short-v0"]
    metadata = artifacts.read_manifest(root / "rrl/hopper/medium-short-v0").metadata
    assert metadata["arrays_sha256"] == made.sha256
    assert metadata["seconds"] > 0 and metadata["versions"]["mujoco"]


def test_made_once_then_loaded_the_same(tiny):
    made = datasets.make("hopper-medium-replay", SILENT)
    assert datasets.load(NAME, SILENT).sha256 == made.sha256
    assert datasets.make(NAME, SILENT).sha256 == made.sha256
    assert tiny == [NAME]
    assert datasets.make(NAME, SILENT, force=True).sha256 == made.sha256
    assert tiny == [NAME, NAME]


@pytest.mark.parametrize("name", ["data/main_data.hdf5", "data/metadata.json"])
def test_one_changed_bit_is_refused_and_force_repairs_it(root, tiny, name):
    made = datasets.make(NAME, SILENT)
    file = root / NAME / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"has changed.*rrl data make {NAME} --force"):
        datasets.load(NAME, SILENT)
    assert datasets.make(NAME, SILENT, force=True).sha256 == made.sha256


def test_another_recipe_version_is_made_anew(tiny, monkeypatch, capsys):
    datasets.make(NAME, SILENT)
    monkeypatch.setattr(recipes, "RECIPE_VERSION", 2)
    with pytest.raises(DataError, match="rrl data make"):
        datasets.load(NAME, SILENT, make_missing=False)
    assert datasets.load(NAME, Reporter()).recipe == f"{NAME}@2"
    assert "another recipe version" in capsys.readouterr().err


def test_what_misses_its_band_is_not_kept(root, tiny, monkeypatch):
    monkeypatch.setattr(datasets, "find_recipe", recipes.find_recipe)
    with pytest.raises(DataError, match="mean return .* expected 120 to 300"):
        datasets.make(NAME, SILENT)
    assert not (root / NAME).exists()
    assert [path.suffix for path in (root / "rrl/hopper").iterdir()] == [".lock"]


def test_of_two_makers_one_waits_and_loads(root, tiny, capsys):
    path = root / NAME
    held, free = threading.Event(), threading.Event()

    def make_slowly():
        with artifacts.lock(path):
            held.set()
            free.wait(10)
            recipe = datasets.find_recipe(NAME)
            bundled._make(recipe, path, SILENT, StopRequest(), None)

    maker = threading.Thread(target=make_slowly)
    maker.start()
    held.wait(10)
    threading.Timer(0.5, free.set).start()
    loaded = datasets.load(NAME, Reporter())
    maker.join()
    assert loaded.num_episodes == 8 and tiny == [NAME]
    assert "waiting for it" in capsys.readouterr().err


def test_leftovers_of_a_killed_maker_are_removed(root, tiny):
    litter = root / "rrl/hopper/.medium-replay-v0.tmp-abc"
    (litter / "data").mkdir(parents=True)
    (litter / "data" / "metadata.json").write_text("{")
    assert not any(entry["made"] for entry in datasets.local_datasets())
    datasets.make(NAME, SILENT)
    assert not litter.exists()


def test_the_list_has_made_and_unmade_sets(root, tiny):
    datasets.make(NAME, SILENT)
    listed = {entry["id"]: entry for entry in datasets.local_datasets()}
    assert set(listed) == set(recipes.bundled_ids())
    assert [name for name, entry in listed.items() if entry["made"]] == [NAME]
    assert listed[NAME]["episodes"] == 8 and listed[NAME]["bytes"] > 10_000
    assert listed[NAME]["path"] == str(root / NAME)
    assert all(entry["family"] == "bundled" for entry in listed.values())


def test_stats_are_strict_json(tiny):
    episodes = datasets.make(NAME, SILENT)
    stats = datasets.stats(episodes)
    assert json.loads(artifacts.to_json(stats)) == stats
    assert stats["return_quantiles"]["0"] == episodes.returns.min()
    assert stats["return_quantiles"]["1"] == episodes.returns.max()
    assert stats["length_quantiles"]["0.5"] == np.median(episodes.lengths)
    assert stats["terminated_share"] == 1.0 and stats["dropped_episodes"] == 0


def test_unknown_and_missing_names():
    with pytest.raises(UsageError, match="did you mean"):
        datasets.load("rrl/hoper/medium-v0", SILENT)
    with pytest.raises(UsageError):
        datasets.make("mujoco/hopper/medium-v0", SILENT)
    with pytest.raises(DataError, match="rrl data make rrl/hopper/expert-v0"):
        datasets.load("rrl/hopper/expert-v0", SILENT, make_missing=False)
