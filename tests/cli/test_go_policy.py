"""train-policy and evaluate for a task of Go: one tiny run of each arm, and what is refused."""

import json

import pytest

pytestmark = pytest.mark.usefixtures("own_cache")
TINY = (
    "train.steps=2",
    "train.batch_size=4",
    "model.channels=4",
    "model.unroll_steps=1",
    "held_out.positions=20",
    "held_out.num_neighbors=[1]",
    "held_out.fractions=[0.5]",
)


@pytest.fixture(scope="module")
def choice(make_choice):
    """The options of a run on sixty random games, and where it goes."""
    return make_choice(*TINY)


@pytest.fixture(scope="module")
def trained(choice, invoke, document):
    """The folder of that run, finished."""
    made = document(invoke("train-policy", *choice, "--json"))
    (result,) = choice[-1].glob("train-policy/go9/*/result.json")
    assert json.loads(result.read_text()) == made
    return result.parent


def test_a_run_is_trained_and_judged(choice, trained, invoke, document):
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
def test_arms_share_what_build_index_makes(choice, trained, invoke, document):
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


def test_options_of_the_other_paper_are_refused(choice, trained, tmp_path, invoke):
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


def test_a_task_file_says_that_it_is_of_go(choice, tmp_path, invoke, document):
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
