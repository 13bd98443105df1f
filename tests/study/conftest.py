"""A study of cells that take no time."""

from pathlib import Path

import pytest

from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.ablate import Asked, ablate, plan

DESIGN = """
title = "Stub"
tasks = ["easy"]
arms = ["plain", "ours"]
preset = "quick"
seeds = [0, 1, 2]
[grid]
size = [2, 1]
"""


@pytest.fixture
def stub(monkeypatch):
    """The module of the stub paper, also for processes that are started."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import stub_paper

    return stub_paper


@pytest.fixture
def write_study(tmp_path):
    """write_study(text): the path of a TOML; by default two arms, two sizes, three seeds."""

    def write(text=DESIGN):
        path = tmp_path / "stub.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def go(stub, write_study, tmp_path):
    """go(text, jobs=2, settings=["steps=3"], ...): the report of such a study."""

    def go(text=DESIGN, *, settings=(), **options):
        arguments = {
            "root": tmp_path / "runs",
            "folder": tmp_path / "cells",
            "out": None,
            "reporter": Reporter(verbosity=-1),
            "stop": StopRequest(),
            "force": False,
            "jobs": 1,
            "prepare": stub.nothing,
        }
        asked = Asked(write_study(text), settings=settings)
        (tmp_path / "runs").mkdir(exist_ok=True)
        return ablate(asked, stub.paper_of, **{**arguments, **options})

    return go


@pytest.fixture
def dry(stub, write_study, tmp_path):
    """dry(text, force=True): the plan of such a study."""

    def dry(text=DESIGN, settings=(), folder=None, **options):
        asked = Asked(write_study(text), settings=settings)
        folders = {"root": tmp_path / "runs", "folder": folder or tmp_path / "cells"}
        return plan(asked, stub.paper_of, **folders, **options)

    return dry


@pytest.fixture
def steps_taken(tmp_path):
    """steps_taken(): a line for every step that any cell has trained."""

    def read():
        log = tmp_path / "runs" / "steps.log"
        return log.read_text().splitlines() if log.exists() else []

    return read
