"""train-policy and evaluate for a task of Go: one tiny run of each arm, and what is refused."""

import json

import pytest
from typer.testing import CliRunner

from retrieve_rl.cli.app import app

TINY = (
    "encoder.steps=2",
    "evaluate.positions=10",
    "train.steps=2",
    "train.batch_size=4",
    "model.channels=4",
    "model.unroll_steps=1",
    "held_out.positions=20",
    "held_out.num_neighbors=[1]",
    "held_out.fractions=[0.5]",
)


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="rrl")


def refuse_constant(name):
    raise AssertionError(f"{name} is no strict JSON")


def document(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=refuse_constant)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("RRL_RUNS", raising=False)
        yield


@pytest.fixture(scope="module")
def choice(tmp_path_factory, random_sgf, go_settings):
    """The options of a run on sixty random games, and where it goes."""
    root = tmp_path_factory.mktemp("policy")
    (root / "games.sgf").write_bytes(b"".join(random_sgf(seed) for seed in range(60)))
    words = ["--task", "go9", "--preset", "smoke", "--games", root / "games.sgf", "-q"]
    for setting in (*go_settings, *TINY):
        words += ["--set", setting]
    return [*words, "--runs", root / "runs"]


@pytest.fixture(scope="module")
def trained(choice):
    """The folder of that run, finished."""
    made = document(invoke("train-policy", *choice, "--json"))
    (result,) = choice[-1].glob("train-policy/go9/*/result.json")
    assert json.loads(result.read_text()) == made
    return result.parent


def test_a_run_is_trained_and_judged(choice, trained):
    assert trained.name.startswith("retrieval-smoke-s0-")
    result = json.loads((trained / "result.json").read_text())
    assert result["training"]["steps"] == 2 and result["summary"]["measure"] == "top1"
    judged = document(invoke("evaluate", trained, "--json", "-q"))
    assert judged["command"] == "evaluate" and judged["arm"] == "retrieval"
    conditions = judged["retrieval"]["conditions"]
    assert {"as trained", "1 neighbors", "0.5 of the games", "no neighbors"} <= set(conditions)
    by_options = invoke("evaluate", *choice)
    assert by_options.exit_code == 0, by_options.output
    assert by_options.stdout.splitlines()[0] == str(trained)
    assert invoke("train-policy", *choice).stdout.splitlines()[0] == str(trained)
    assert invoke("train-policy", *choice, "--fail-under", 0.99).exit_code == 6
    listed = document(invoke("list", "runs", "--runs", choice[-1], "--json"))["runs"]
    assert {row["measure"] for row in listed} == {"top1"}


@pytest.mark.slow
def test_arms_share_what_build_index_makes(choice, trained):
    root = choice[-1]
    before = {path: path.stat().st_mtime_ns for path in root.glob("indexes/*/*/MANIFEST.json")}
    assert before
    baseline = document(invoke("train-policy", *choice, "--arm", "baseline", "--json"))
    other = document(invoke("train-policy", *choice, "--arm", "distance", "--json"))
    assert document(invoke("build-index", *choice[:-2], "--json", "--runs", root))
    after = {path: path.stat().st_mtime_ns for path in root.glob("indexes/*/*/MANIFEST.json")}
    assert after == before
    result = json.loads((trained / "result.json").read_text())
    assert baseline["training"]["parameters"] == result["training"]["parameters"]
    assert other["retrieval"]["sha256"] == result["retrieval"]["sha256"]
    assert set(baseline["retrieval"]["conditions"]) == {"as trained"}


def test_options_of_the_other_paper_are_refused(choice, trained, tmp_path):
    for words, message in (
        (["train-policy", "--task", "go9", "--dataset", "x"], "of Re:Frame"),
        (["train-policy", "--task", "hopper-medium", "--games", tmp_path], "--games is of Go"),
        (["train-policy", "--task", "go9", "--arm", "reframe"], "no arm is called"),
        (["train-policy", "--task", "go8"], "did you mean go9"),
        (["train-amb", "--task", "go9"], "is a task of Go"),
        (["evaluate", trained, "--episodes", 3], "--episodes is of Re:Frame"),
    ):
        refused = invoke(*words)
        assert refused.exit_code == 2, words
        assert message in refused.stderr


def test_a_task_file_says_that_it_is_of_go(choice, tmp_path):
    task = tmp_path / "mine.toml"
    task.write_text('paper = "go"\n')
    words = ["--task", task, *choice[2:], "--arm", "gate", "--dry-run", "--json"]
    plan = document(invoke("train-policy", *words))
    assert plan["config"]["retrieval"]["fusion"] == "gate"
    assert "/train-policy/mine/gate-smoke-s0-" in plan["folder"]
    missing = invoke("evaluate", *choice, "--arm", "gate", "--seed", 5)
    assert missing.exit_code == 5
    command = missing.stderr.strip().splitlines()[-1].partition(": ")[2]
    assert "--arm gate --seed 5 --games" in command
