"""Minari's own data sets: written by Minari, read by us; broken downloads heal; ids stay inside."""

import json
import os
import shutil

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import datasets

SILENT = Reporter(verbosity=-1)
NAME = "test/hopper/tiny-v0"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    return tmp_path / "root"


def write(name=NAME, lengths=(4, 2, 3)):
    """What Minari itself writes: float64, resizable arrays, infos."""
    rng = np.random.default_rng(0)
    buffers = [
        EpisodeBuffer(
            observations=rng.normal(size=(steps + 1, 11)),
            actions=rng.uniform(-1, 1, (steps, 3)).astype(np.float32),
            rewards=np.arange(steps, dtype=np.float64),
            terminations=np.arange(steps) == (steps - 1 if number == 0 else steps),
            truncations=np.arange(steps) == (steps if number == 0 else steps - 1),
            infos={"x": np.arange(steps)},
        )
        for number, steps in enumerate(lengths)
    ]
    minari.create_dataset_from_buffers(
        name,
        buffers,
        env=gymnasium.spec("Hopper-v5"),
        eval_env=gymnasium.spec("Hopper-v5"),
        author="a",
        author_email="a@b.c",
        code_permalink="x",
        algorithm_name="y",
        observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (11,)),
        action_space=gymnasium.spaces.Box(-1, 1, (3,)),
        description="d",
    )
    return buffers


def main_file(root, name=NAME):
    return root / name / "data" / "main_data.hdf5"


def test_reads_what_minari_wrote(root):
    buffers = write()
    episodes = datasets.load(NAME, SILENT)
    assert (episodes.family, episodes.env_id) == ("minari", "Hopper-v5")
    assert episodes.recipe == episodes.dataset_id == NAME
    np.testing.assert_array_equal(episodes.lengths, [4, 2, 3])
    np.testing.assert_array_equal(episodes.terminated, [True, False, False])
    expected = np.concatenate([buffer.observations[:-1] for buffer in buffers])
    np.testing.assert_array_equal(episodes.observations, expected.astype(np.float32))
    (listed,) = [entry for entry in datasets.local_datasets() if entry["family"] == "minari"]
    assert (listed["id"], listed["episodes"], listed["steps"]) == (NAME, 3, 9)


def test_an_episode_without_an_end_is_left_out(root):
    write()
    with h5py.File(main_file(root), "a") as file:
        file["episode_2/truncations"][...] = False
    episodes = datasets.load(NAME, SILENT)
    assert (episodes.num_episodes, episodes.dropped_episodes) == (2, 1)


def replace(group, name, data):
    del group[name]
    group[name] = data


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: f["episode_1/observations"].__setitem__((1, 0), np.nan), r"\(episode 1, step 1"),
        (lambda f: f["episode_1/terminations"].__setitem__(0, True), "goes on after its end"),
        (lambda f: f.__delitem__("episode_1/rewards"), "'/episode_1/rewards' is missing"),
        (lambda f: f.__delitem__("episode_2"), "'/episode_2' is missing"),
        (lambda f: replace(f, "episode_1/actions", np.zeros((3, 3))), r"has shape \(3, 3\)"),
        (lambda f: replace(f, "episode_1/actions", np.zeros((2, 4))), "those before have"),
        (lambda f: replace(f, "episode_1", h5py.SoftLink("/episode_0")), "is a link"),
    ],
)
def test_damaged_sets_are_refused_with_place_and_reason(root, damage, reason):
    write()
    with h5py.File(main_file(root), "a") as file:
        damage(file)
    with pytest.raises(DataError, match=reason):
        datasets.load(NAME, SILENT)


def test_metadata_is_only_text(root):
    write()
    file = root / NAME / "data" / "metadata.json"
    metadata = json.loads(file.read_text())
    metadata["env_spec"] = json.dumps({"id": "Evil-v0", "entry_point": "os:abort"})
    file.write_text(json.dumps(metadata))
    assert datasets.load(NAME, SILENT).env_id == "Evil-v0"
    file.write_text(json.dumps(metadata | {"data_format": "arrow"}))
    with pytest.raises(DataError, match="expected hdf5"):
        datasets.load(NAME, SILENT)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that holds the tiny set; counts how often it is asked."""
    shelf = tmp_path / "server"
    with monkeypatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(shelf))
        write()
    asked = []

    def download(dataset_id):
        asked.append(dataset_id)
        print("chatter")
        shutil.copytree(shelf / dataset_id, os.environ["MINARI_DATASETS_PATH"] + "/" + dataset_id)

    monkeypatch.setattr(minari, "download_dataset", download)
    return asked


def test_a_missing_set_is_fetched_once_and_verified_ever_after(root, server, capsys):
    first = datasets.load(NAME, Reporter())
    assert datasets.load(NAME, SILENT).sha256 == first.sha256
    assert server == [NAME]
    printed = capsys.readouterr()
    assert printed.out == "" and f"fetching {NAME}" in printed.err
    assert minari.load_dataset(NAME).total_steps == 9
    content = bytearray(main_file(root).read_bytes())
    content[-1] ^= 1
    main_file(root).write_bytes(content)
    with pytest.raises(DataError, match="has changed"):
        datasets.load(NAME, SILENT)


@pytest.mark.parametrize("left", ["nothing", "empty folder", "no data", "no metadata", "cut data"])
def test_a_broken_download_heals(root, server, left):
    if left != "nothing":
        write()
        data = main_file(root).parent
        {
            "empty folder": lambda: (shutil.rmtree(data), data.mkdir()),
            "no data": lambda: main_file(root).unlink(),
            "no metadata": lambda: (data / "metadata.json").unlink(),
            "cut data": lambda: main_file(root).write_bytes(main_file(root).read_bytes()[:3000]),
        }[left]()
    with pytest.raises(DataError, match="not on this machine"):
        datasets.load(NAME, SILENT, make_missing=False)
    assert datasets.load(NAME, SILENT).num_episodes == 3
    assert server == [NAME]
    assert not [path for path in (root / "test" / "hopper").iterdir() if path.name[0] == "."]


def test_no_network_says_what_was_tried_and_changes_nothing(root, monkeypatch):
    def download(dataset_id):
        raise ConnectionError("no route")

    monkeypatch.setattr(minari, "download_dataset", download)
    write()
    main_file(root).unlink()
    before = sorted(root.rglob("*"))
    with pytest.raises(DataError, match="bundled data sets .* need none") as caught:
        datasets.load(NAME, SILENT)
    assert str(root / NAME) in str(caught.value) and "no route" in str(caught.value)
    assert caught.value.exit_code == 5
    after = [path for path in sorted(root.rglob("*")) if path.suffix != ".lock"]
    assert after == before
    assert os.environ["MINARI_DATASETS_PATH"] == str(root)


@pytest.mark.parametrize(
    "name", ["../x-v0", "/etc/x-v0", "a//b-v0", "a/../b-v0", "x", "hf://a/b-v0", "-x-v0", "a/.b-v0"]
)
def test_ids_cannot_leave_the_root(name):
    with pytest.raises(UsageError, match="not a data set id"):
        datasets.load(name, SILENT)
