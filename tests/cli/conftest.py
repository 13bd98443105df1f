"""What tests of Go's commands share: how to call them, and a run on sixty random games."""

import json

import pytest
from typer.testing import CliRunner

from retrieve_rl.cli.app import app


def _refuse_constant(name):
    raise AssertionError(f"{name} is no strict JSON")


TINY = (
    "train.steps=2",
    "train.batch_size=4",
    "model.channels=4",
    "model.unroll_steps=1",
    "held_out.positions=20",
    "held_out.num_neighbors=[1]",
    "held_out.fractions=[0.5]",
)


@pytest.fixture(scope="session")
def invoke():
    """invoke("list", "tasks"): the result of a command; `given` stands on its stdin."""

    def call(*words, given=None):
        arguments = [str(word) for word in words]
        return CliRunner().invoke(app, arguments, prog_name="rrl", input=given)

    return call


@pytest.fixture(scope="session")
def document():
    """document(result): the strict JSON document on the stdout of a command that did not fail."""

    def read(result):
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout, parse_constant=_refuse_constant)

    return read


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """A cache of the module's own, and no RRL_RUNS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("RRL_RUNS", raising=False)
        yield


@pytest.fixture(scope="module")
def make_choice(tmp_path_factory, random_sgf, go_settings):
    """make_choice("train.steps=2"): the options of a tiny run on sixty random games; the last is
    where it goes."""

    def make(*settings):
        root = tmp_path_factory.mktemp("go")
        (root / "games.sgf").write_bytes(b"".join(random_sgf(seed) for seed in range(60)))
        words = ["--task", "go9", "--preset", "smoke", "--games", root / "games.sgf", "-q"]
        for setting in (*go_settings, "encoder.steps=2", "evaluate.positions=10", *TINY, *settings):
            words += ["--set", setting]
        return [*words, "--runs", root / "runs"]

    return make
