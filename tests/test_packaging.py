"""The built wheel is whole: installed elsewhere and run from another folder, it works the same."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
KINDS = ("tasks", "presets", "arms", "ablations")
POLICIES = (
    "hopper_expert.npz",
    "hopper_medium.npz",
    "hopper_sac_ladder.npz",
    "walker2d_expert.npz",
    "walker2d_medium.npz",
    "walker2d_sac_ladder.npz",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    _python(*command, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds the unpacked package and nothing of the checkout."""
    target = tmp_path_factory.mktemp("target")
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--target", str(target)]
    _python("pip", "install", "--disable-pip-version-check", *options, str(wheel), cwd=target)
    return target


def test_wheel_holds_every_experiment(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for kind in KINDS:
        for path in (REPOSITORY / "experiments" / kind).glob("*.toml"):
            assert f"retrieve_rl/experiments/{kind}/{path.name}" in names


def test_wheel_holds_policies_and_licenses(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in POLICIES:
        assert f"retrieve_rl/reframe/policies/{name}" in names
    licenses = {Path(name).name for name in names if ".dist-info/licenses/" in name}
    assert "LICENSE" in licenses
    for path in (REPOSITORY / "retrieve_rl/reframe/policies").glob("LICENSE-*"):
        assert path.name in licenses
        assert f"retrieve_rl/reframe/policies/{path.name}" in names


def test_wheel_holds_game_records_and_their_license(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (REPOSITORY / "retrieve_rl/go/records").iterdir():
        assert f"retrieve_rl/go/records/{path.name}" in names
    licenses = {Path(name).name for name in names if ".dist-info/licenses/" in name}
    assert "LICENSE-MIT-alpha-zero" in licenses


def test_wheel_holds_no_runs_results_or_tests(wheel):
    for name in zipfile.ZipFile(wheel).namelist():
        assert name.startswith(("retrieve_rl/", "retrieve_rl-"))
        assert "/results/" not in name
        assert not name.startswith("retrieve_rl/runs/")


def test_installed_package_reads_its_own_experiments(installed, tmp_path):
    code = "from retrieve_rl import config; print(config.experiments_folder())"
    folder = Path(_run_code(code, installed, tmp_path).strip())
    assert folder == installed / "retrieve_rl" / "experiments"


def test_installed_command_lists_the_same(installed, tmp_path):
    code = "import sys; sys.argv[0] = 'rrl'; from retrieve_rl.cli import main; main()"
    listed = {}
    for name, source in (("installed", installed), ("checkout", REPOSITORY)):
        out = _run_code(code, source, tmp_path, "list", "--json", "--runs", str(tmp_path / "none"))
        listed[name] = json.loads(out)
    assert listed["installed"] == listed["checkout"]
    assert "hopper-medium" in json.dumps(listed["installed"])


def test_installed_package_opens_its_policies(installed, tmp_path):
    code = (
        "from importlib import resources; import numpy as np\n"
        "folder = resources.files('retrieve_rl.reframe') / 'policies'\n"
        "print(sum(len(np.load(str(p)).files) > 0 for p in folder.iterdir()"
        " if p.name.endswith('.npz')))"
    )
    assert int(_run_code(code, installed, tmp_path)) == len(POLICIES)


def _python(module: str, *arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def _run_code(code: str, source: Path, cwd: Path, *arguments: str) -> str:
    """What the code prints when the package is imported from `source`."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
