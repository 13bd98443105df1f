"""How cells are handed to Ray and a cluster is found, where Ray is not installed."""

import os
import signal
import sys
from collections import Counter
from functools import partial
from types import SimpleNamespace

import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.signals import stop_on_signals
from retrieve_rl.study import execute_on_ray
from retrieve_rl.study.execute_on_ray import run_on_ray


class LostWorker(Exception):
    """As Ray raises it."""


class FakeRay:
    """Computes here, and sets the signal's handler as Ray does.

    Attributes:
      loses: label of a cell -> how many of its workers are lost.
      begun: labels, in order.
    """

    exceptions = SimpleNamespace(RayError=LostWorker)

    def __init__(self):
        self.connected_to, self.begun, self.loses, self.max_retries = [], [], Counter(), None
        self.at_work = lambda: None

    def is_initialized(self):
        return False

    def init(self, *, address, log_to_driver):
        self.connected_to.append(address)
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))

    def shutdown(self):
        pass

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def remote(self, *, num_cpus, max_retries):
        self.max_retries = max_retries
        return lambda function: SimpleNamespace(remote=partial(self._begin, function))

    def _begin(self, function, cell, *arguments):
        self.begun.append(cell.label)
        return partial(function, cell, *arguments), cell.label

    def wait(self, references, timeout):
        self.at_work()
        return references[:1], references[1:]

    def get(self, reference):
        compute, label = reference
        if self.loses[label] > 0:
            self.loses[label] -= 1
            raise LostWorker("out of memory")
        return compute()

    def cancel(self, reference, force):
        pass


@pytest.fixture
def fake_ray(monkeypatch):
    ray = FakeRay()
    monkeypatch.setattr(execute_on_ray, "import_ray", lambda: ray)
    before = signal.getsignal(signal.SIGTERM)
    yield ray
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    "address, connected_to", [(None, "local"), ("auto", "auto"), ("head:6379", "head:6379")]
)
def test_without_an_address_a_cluster_is_started(fake_ray, go, address, connected_to, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    assert go(run_cells=partial(run_on_ray, jobs=2, address=address))["failed"] == 0
    assert fake_ray.connected_to == [connected_to]


@pytest.mark.parametrize("times, failed", [(5, 0), (6, 1)])
def test_a_cell_of_lost_workers_is_begun_again_after_the_others(fake_ray, go, times, failed):
    fake_ray.loses["easy plain size=2 seed=0"] = times
    report = go(run_cells=partial(run_on_ray, jobs=2, address=None))
    assert report["failed"] == failed and fake_ray.max_retries == 0
    assert fake_ray.begun[:12].count("easy plain size=2 seed=0") == 1
    assert fake_ray.begun[12:] == ["easy plain size=2 seed=0"] * 5
    errors = [cell["error"] for cell in report["cells"] if cell["status"] == "failed"]
    assert errors == ["its worker was lost 6 times: out of memory"] * failed


def test_sigterm_is_still_a_request_to_stop(fake_ray, go, tmp_path):
    fake_ray.at_work = partial(os.kill, os.getpid(), signal.SIGTERM)
    with stop_on_signals() as stop:
        with pytest.raises(Interrupted, match="stopped by SIGTERM; finished cells are kept"):
            go(stop=stop, run_cells=partial(run_on_ray, jobs=2, address=None))
    assert len(list((tmp_path / "cells").rglob("*.json"))) == 1
