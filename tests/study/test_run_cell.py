"""One cell: of one training, its own evaluation, and what it is named by."""

import shutil
from dataclasses import replace

import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest
from retrieve_rl.study.cell_files import cell_file
from retrieve_rl.study.design import Cell
from retrieve_rl.study.run_cell import run_cell


@pytest.fixture
def make_cell(stub):
    """make_cell(training=...): a cell of the stub paper with that changed."""

    def make(**changes):
        config = stub.resolve("easy", preset="quick", arm="ours", seed=0, settings=[])
        return Cell("easy", "ours", {}, 0, config, replace(stub.PAPER, **changes))

    return make


@pytest.fixture
def run(tmp_path):
    """run(cell): what is computed of it, or read."""
    (tmp_path / "runs").mkdir()

    def call(cell, force=None):
        places = (tmp_path / "runs", tmp_path / "cells")
        return run_cell(cell, *places, Reporter(verbosity=-1), StopRequest(), force=force)

    return call


def test_a_cell_is_not_made_of_the_evaluation_of_another_training(stub, make_cell, run, tmp_path):
    weights = ["first"]

    def result_of(checkpoint, config, run):
        result = stub.train(config, run)
        training = {**result.training, "checkpoint_sha256": checkpoint}
        return result.model_copy(update={"training": training})

    def train(config, run):
        (run.folder / "weights").write_text(weights[-1])
        return result_of(weights[-1], config, run)

    def judge(config, run, *, trained):
        return result_of((trained / "weights").read_text(), config, run)

    cell = make_cell(
        training=lambda: train, evaluation=lambda: judge, judgment_hash=lambda config: "judgment"
    )
    file = cell_file(cell, tmp_path / "cells")
    first = run(cell)
    file.unlink()
    assert run(cell) == first
    file.unlink()
    shutil.rmtree(tmp_path / "runs" / "train-policy")
    weights.append("second")
    with pytest.raises(DataError, match="the checkpoint_sha256 of its training is first, now sec"):
        run(cell)
    assert not file.exists()
    assert run(cell, force="a command") == first


def test_numbers_of_edited_data_do_not_get_the_key_of_those_before(stub, make_cell, run, tmp_path):
    data = tmp_path / "data"
    data.write_text("first")
    trained = []

    def train(config, run):
        trained.append(data.read_text())
        data.write_text("second")
        return stub.train(config, run)

    cell = make_cell(
        training=lambda: train,
        identity=lambda config: {**stub.identity(config), "data": data.read_text()},
    )
    file = cell_file(cell, tmp_path / "cells")
    for _ in range(2):
        with pytest.raises(DataError, match="easy ours seed=0: data changed while the study ran"):
            run(cell)
        assert trained == ["first"] and not file.exists()
