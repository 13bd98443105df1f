"""Cells on a Ray cluster of two local nodes: the same files, whoever dies."""

import os
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from retrieve_rl.errors import Interrupted, MissingDependencyError
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.execute_on_ray import run_on_ray

pytestmark = [
    pytest.mark.ray,
    # Ray forks to start its processes and replaces them at once.
    pytest.mark.filterwarnings(r"ignore:os.fork\(\) was called:RuntimeWarning"),
]

TWELVE = """
title = "Twelve"
tasks = ["easy"]
arms = ["plain", "ours"]
preset = "quick"
seeds = [0, 1, 2]
[grid]
size = [2, 1]
[settings]
steps = 10
seconds_a_step = 0.1
"""


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # of the stub paper, for the workers
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def on_ray():
    return partial(run_on_ray, jobs=2, address=None)


def files_in(folder):
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*.json")}


def test_a_killed_node_changes_no_file(cluster, go, on_ray, tmp_path, steps_taken):
    undisturbed = go(
        TWELVE.replace("0.1", "0.0"), folder=tmp_path / "a", root=_made(tmp_path / "r")
    )
    node = cluster.add_node(num_cpus=1)

    def kill_once_at_work():
        while len(steps_taken()) < 15:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill_once_at_work)
    killer.start()
    told = go(TWELVE, folder=tmp_path / "b", jobs=3, run_cells=partial(on_ray, jobs=3))
    killer.join()
    assert told["failed"] == 0
    for mine, theirs in zip(told["cells"], undisturbed["cells"], strict=True):
        assert (mine["arm"], mine["seed"]) == (theirs["arm"], theirs["seed"])
    means = [
        [
            numbers["mean"]
            for below in report["summary"]["easy"].values()
            for numbers in below.values()
        ]
        for report in (told, undisturbed)
    ]
    assert means[0] == means[1] and len(means[0]) == 4
    assert len(files_in(tmp_path / "b")) == 12


def test_the_same_files_as_here(cluster, go, on_ray, tmp_path):
    text = TWELVE.replace("0.1", "0.0")
    go(text, folder=tmp_path / "a", root=_made(tmp_path / "r1"))
    go(text, folder=tmp_path / "b", root=_made(tmp_path / "r2"), run_cells=on_ray)
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b") != {}


def test_failures_do_not_stop_the_rest(cluster, go, on_ray):
    text = TWELVE.replace("size = [2, 1]", 'ends = ["badly", "unexpectedly", "well"]')
    text = text.replace("[0, 1, 2]", "[0]").replace("0.1", "0.0")
    report = go(text, run_cells=on_ray)
    assert [cell["status"] for cell in report["cells"]] == ["failed", "failed", "ok"] * 2
    errors = {cell["error"] for cell in report["cells"] if cell["status"] == "failed"}
    assert errors == {"size 1 ends badly", "ValueError: two lines"}


def test_a_worker_that_is_lost_again_and_again_is_a_failed_cell(cluster, go, on_ray):
    text = TWELVE.replace("size = [2, 1]", 'ends = ["killed"]')
    text = (
        text.replace("[0, 1, 2]", "[0]").replace("0.1", "0.0").replace('"plain", "ours"', '"ours"')
    )
    (cell,) = go(text, run_cells=on_ray)["cells"]
    assert "its worker was lost 6 times" in cell["error"]


def test_a_stop_leaves_what_is_finished(cluster, go, on_ray, tmp_path, steps_taken):
    class StopSoon(StopRequest):
        @property
        def requested(self):
            if len(steps_taken()) > 25:
                self.signal_number = 15
            return self.signal_number is not None

    with pytest.raises(Interrupted, match="finished cells are kept"):
        go(TWELVE, stop=StopSoon(), run_cells=on_ray)
    kept = len(files_in(tmp_path / "cells"))
    assert 0 < kept < 12
    assert go(TWELVE, run_cells=on_ray)["failed"] == 0
    assert len(files_in(tmp_path / "cells")) == 12


def test_no_cluster_at_the_address(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refuse(**arguments):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(MissingDependencyError, match="no Ray cluster at nowhere: nobody answers"):
        run_on_ray([], None, None, None, None, jobs=1, address="nowhere", prepare=None)


def _made(folder):
    folder.mkdir()
    return folder
