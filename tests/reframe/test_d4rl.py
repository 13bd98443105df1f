"""D4RL files: both flags end an episode, the cut one is dropped, bad files are refused."""

import h5py
import numpy as np
import pytest

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import datasets
from retrieve_rl.reframe.d4rl import default_name
from retrieve_rl.reframe.data import evaluation_env

SILENT = Reporter(verbosity=-1)
KEYS = ("observations", "actions", "rewards", "terminals", "timeouts")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    return tmp_path / "root"


def arrays():
    """Ten steps of Hopper's widths: episodes of 3 (terminal), 4 (timeout), and a cut one of 3."""
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(10, 11)),
        "actions": rng.uniform(-1, 1, size=(10, 3)).astype(np.float32),
        "rewards": np.arange(10, dtype=np.float32),
        "terminals": np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0], dtype=bool),
        "timeouts": np.array([0, 0, 0, 0, 0, 0, 1, 0, 0, 0], dtype=np.uint8),
    }


def write(path, **changes):
    with h5py.File(path, "w") as file:
        for key, array in (arrays() | changes).items():
            if array is not None:
                file.create_dataset(key, data=array, compression="gzip")
    return path


def test_both_flags_end_episodes_and_the_cut_one_is_dropped(tmp_path):
    episodes = datasets.load(str(write(tmp_path / "hopper_medium-v2.hdf5")), SILENT)
    assert (episodes.dataset_id, episodes.family) == ("d4rl/hopper_medium-v2", "d4rl")
    assert episodes.env_id == "Hopper-v4"
    assert episodes.dropped_episodes == 1
    np.testing.assert_array_equal(episodes.offsets, [0, 3, 7])
    np.testing.assert_array_equal(episodes.terminated, [True, False])
    np.testing.assert_array_equal(episodes.rewards, np.arange(7, dtype=np.float32))
    expected = arrays()["observations"][:7].astype(np.float32)
    np.testing.assert_array_equal(episodes.observations, expected)


@pytest.mark.parametrize("name, env_id", [("Hopper_mine", "Hopper-v4"), ("replay", "")])
def test_a_hopper_is_told_by_the_name_too(tmp_path, tiny, name, env_id):
    """A file of another name is evaluated where its task is, in D4RL's physics."""
    episodes = datasets.load(str(write(tmp_path / f"{name}.hdf5")), SILENT)
    assert episodes.env_id == env_id
    assert evaluation_env(tiny(env={"id": "Hopper-v5"}), episodes) == "Hopper-v4"


def test_a_file_of_another_robot_is_evaluated_in_the_environment_of_its_task(tmp_path, tiny):
    """Of a robot of one's own there may be no -v4."""
    episodes = datasets.load(str(write(tmp_path / "mine.hdf5")), SILENT)
    for env_id in ("MyHopper-v5", "Ant-v5", "Hopper-v3"):
        assert evaluation_env(tiny(env={"id": env_id}), episodes) == env_id


def test_other_widths_are_an_unknown_environment(tmp_path):
    path = write(tmp_path / "x.h5", observations=np.zeros((10, 4)))
    assert datasets.load(str(path), SILENT).env_id == ""


@pytest.mark.parametrize(
    "name, env_id, own, other",
    [
        ("walker2d_medium-v2", "Walker2d-v4", "Walker2d-v5", "HalfCheetah-v5"),
        ("HalfCheetah_medium-v2", "HalfCheetah-v4", "HalfCheetah-v5", "Walker2d-v5"),
        ("mine", "", "HalfCheetah-v5", None),
    ],
)
def test_robots_of_the_same_widths_are_told_by_the_name(tmp_path, tiny, name, env_id, own, other):
    wide = {"observations": np.zeros((10, 17)), "actions": np.zeros((10, 6))}
    episodes = datasets.load(str(write(tmp_path / f"{name}.hdf5", **wide)), SILENT)
    assert episodes.env_id == env_id
    assert evaluation_env(tiny(env={"id": own}), episodes) == own.replace("-v5", "-v4")
    if other is not None:
        with pytest.raises(DataError, match=f"was made in {env_id}"):
            evaluation_env(tiny(env={"id": other}), episodes)


def test_import_keeps_a_copy_that_loads_by_id(tmp_path, root):
    path = write(tmp_path / "walker.hdf5")
    imported = datasets.import_d4rl(path, SILENT, name="mine")
    path.unlink()
    loaded = datasets.load("d4rl/mine", SILENT)
    assert loaded.sha256 == imported.sha256
    assert loaded.dropped_episodes == 1 and loaded.dataset_id == "d4rl/mine"
    (listed,) = [entry for entry in datasets.local_datasets() if entry["family"] == "d4rl"]
    assert (listed["id"], listed["episodes"], listed["steps"]) == ("d4rl/mine", 2, 7)
    file = root / "d4rl" / "mine" / "episodes.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="has changed"):
        datasets.load("d4rl/mine", SILENT)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a..b"])
def test_a_name_cannot_leave_its_folder(tmp_path, name):
    with pytest.raises(UsageError, match="cannot name"):
        datasets.import_d4rl(write(tmp_path / "x.hdf5"), SILENT, name=name)


def test_a_file_name_becomes_an_id(tmp_path):
    assert default_name(tmp_path / "my data (2).hdf5") == "my-data-2"


def nan_at(row):
    values = arrays()["observations"]
    values[row, 3] = np.nan
    return values


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *(({key: None}, f"'/{key}' is missing; there are: ") for key in KEYS),
        ({"observations": nan_at(6)}, "'/observations' row 6 is not finite"),
        ({"rewards": np.zeros((10, 1))}, r"'/rewards' has shape \(10, 1\), expected 1 axes"),
        ({"actions": np.zeros((9, 3))}, r"'/actions' has shape \(9, 3\).*10 rows"),
        ({"actions": np.full((10, 3), b"x")}, "'/actions' has type .*expected numbers"),
        ({"terminals": np.full(10, 0.5)}, "'/terminals' row 0 is 0.5, expected 0 or 1"),
        ({"terminals": np.zeros(10), "timeouts": np.zeros(10)}, "no row of 10 ends an episode"),
        ({"observations": np.full((10, 11), 1e300)}, "observations row 0"),
    ],
)
def test_bad_files_are_refused_with_key_row_and_reason(tmp_path, changes, reason):
    path = write(tmp_path / "bad.hdf5", **changes)
    with pytest.raises(DataError, match=reason):
        datasets.load(str(path), SILENT)


def test_missing_and_cut_files(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        datasets.load(str(tmp_path / "none.hdf5"), SILENT)
    path = write(tmp_path / "cut.hdf5")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        datasets.load(str(path), SILENT)
    with pytest.raises(DataError, match="rrl data import"):
        datasets.load("d4rl/none", SILENT)
