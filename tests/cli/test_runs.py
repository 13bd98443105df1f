"""Runs from the command line: one tiny trained run, and everything that is asked about it."""

import json
import shutil

import jax
import pytest
from typer.testing import CliRunner

from retrieve_rl.cli.app import app
from retrieve_rl.cli.run_output import check_gate
from retrieve_rl.documents import read_document
from retrieve_rl.errors import GateError
from retrieve_rl.results import read_result

TINY = {
    "data.num_experts": 2,
    "memory.steps": 10,
    "memory.width": 16,
    "mlp.width": 16,
    "train.steps": 2,
    "train.batch_size": 8,
    "train.context_len": 4,
    "evaluate.episodes": 2,
}
CHOICE = ["--task", "hopper-medium", "--preset", "smoke", "--arm", "bc-experts", "-q"]
for key, value in TINY.items():
    CHOICE += ["--set", f"{key}={value}"]


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="rrl")


def files_below(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("RRL_RUNS", raising=False)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Holds one finished train-policy run."""
    root = tmp_path_factory.mktemp("runs")
    out = root / "out.json"
    made = invoke("train-policy", *CHOICE, "--runs", root, "--json", "--out", out)
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout) == json.loads(out.read_text())
    out.unlink()
    return root


@pytest.fixture
def trained(root):
    """The folder of that run."""
    (folder,) = (path.parent for path in root.glob("train-policy/*/*/result.json"))
    return folder


def test_the_result_lies_where_the_table_says(root, trained):
    again = invoke("train-policy", *CHOICE, "--runs", root)
    assert again.exit_code == 0
    assert again.stdout.startswith(f"{trained}\n")
    assert "normalized_score_100" in again.stdout
    assert trained.name.startswith("bc-experts-smoke-s0-")


def test_a_finished_run_is_not_done_again(root, trained):
    before = (trained / "result.json").stat().st_mtime_ns
    again = invoke("train-policy", *CHOICE, "--runs", root, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout) == read_document(trained / "result.json")
    assert (trained / "result.json").stat().st_mtime_ns == before


def test_it_says_so_when_it_is_not_quiet(root):
    words = [word for word in CHOICE if word != "-q"]
    assert "already finished" in invoke("train-policy", *words, "--runs", root).stderr


def test_force_starts_over(root, tmp_path):
    copy = tmp_path / "runs"
    shutil.copytree(root, copy)
    (result,) = copy.glob("train-policy/*/*/result.json")
    first = json.loads(result.read_text())
    (result.parent / "left.txt").write_text("from before")
    assert invoke("train-policy", *CHOICE, "--runs", copy, "--force").exit_code == 0
    assert not (result.parent / "left.txt").exists()
    second = json.loads(result.read_text())
    assert second["outcomes"] == first["outcomes"]
    assert second["timings"] != first["timings"]


def test_runs_lie_where_the_variable_says(root, trained, monkeypatch):
    monkeypatch.setenv("RRL_RUNS", str(root))
    assert invoke("train-policy", *CHOICE).stdout.startswith(f"{trained}\n")


def test_dry_run_writes_nothing(tmp_path):
    for command in ("train-amb", "train-policy"):
        plan = invoke(command, *CHOICE, "--runs", tmp_path / "runs", "--dry-run", "--json")
        document = json.loads(plan.stdout)
        assert document["config"]["train"]["steps"] == 2
        assert document["status"] == "not started"
        assert set(document["inputs"]) == {"dataset", "experts"}
        assert document["folder"].startswith(f"{tmp_path}/runs/{command}/hopper-medium/bc-experts-")
    assert list(tmp_path.iterdir()) == []


def test_train_amb_says_where_its_memory_lies(root):
    made = invoke("train-amb", *CHOICE, "--arm", "reframe", "--runs", root, "--json")
    assert made.exit_code == 0, made.stderr
    memory = root / json.loads(made.stdout)["summary"]["memory"]
    assert json.loads(invoke("verify", memory, "--json").stdout)["artifacts"] == 1
    (run,) = (path.parent for path in root.glob("train-amb/*/*/result.json"))
    refused = invoke("evaluate", run)
    assert refused.exit_code == 5 and "train-amb" in refused.stderr


def test_evaluate_by_path_and_by_options(root, trained):
    by_path = invoke("evaluate", trained / "result.json", "--json", "-q")
    assert by_path.exit_code == 0, by_path.stderr
    assert by_path.stderr.startswith(f"{trained}\n")
    outcomes = json.loads((trained / "result.json").read_text())["outcomes"]
    assert json.loads(by_path.stdout)["outcomes"] == outcomes
    by_options = invoke("evaluate", *CHOICE, "--runs", root)
    assert by_options.stdout.splitlines()[0] == str(trained)
    more = invoke("evaluate", trained, "--episodes", 3, "--json", "-q")
    assert json.loads(more.stdout)["summary"]["episodes"] == 3
    assert (root / "evaluate").is_dir()


def test_a_run_is_judged_where_it_lies(root, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("RRL_RUNS", str(tmp_path / "others"))
    before = invoke("evaluate", trained, "--json", "-q")
    assert before.exit_code == 0, before.stderr
    assert not (tmp_path / "others").exists() and (root / "evaluate").is_dir()


def test_evaluate_without_a_run_names_the_command_that_makes_it(root, trained):
    missing = invoke("evaluate", *CHOICE, "--runs", root, "--seed", 7)
    assert missing.exit_code == 5 and missing.stdout == ""
    assert str(trained) in missing.stderr
    command = missing.stderr.strip().splitlines()[-1].partition(": ")[2]
    assert command.startswith(
        "rrl train-policy --task hopper-medium --preset smoke --arm bc-experts"
    )
    assert command.endswith(f"--runs {root}")


def test_evaluate_refuses_what_is_no_finished_training(root, trained, tmp_path):
    assert invoke("evaluate", tmp_path).exit_code == 5
    assert invoke("evaluate", trained, "--seed", 1).exit_code == 2
    assert invoke("evaluate").exit_code == 2


def test_fail_under(root):
    for command in ("train-policy", "evaluate"):
        failed = invoke(command, *CHOICE, "--runs", root, "--json", "--fail-under", 200)
        assert failed.exit_code == 6
        assert json.loads(failed.stdout)["status"] == "ok"
        assert "below --fail-under 200" in failed.stderr
        passed = invoke(command, *CHOICE, "--runs", root, "--fail-under", -100)
        assert passed.exit_code == 0


def test_a_partial_result_passes_no_gate(trained):
    result = read_result(trained).model_copy(update={"status": "partial"})
    check_gate(result, None)
    with pytest.raises(GateError, match="result is partial: its mean .* passes no --fail-under"):
        check_gate(result, -100.0)


def test_list_show_and_verify(root, trained):
    listed = json.loads(invoke("list", "--runs", root, "--json").stdout)
    assert set(listed) == {"tasks", "presets", "arms", "studies", "runs"}
    assert all(row["description"] for row in listed["arms"])
    assert any(row["name"] == "first-look" for row in listed["studies"])
    about = {row["name"]: row["description"] for row in listed["arms"]}
    assert about["reframe"] == "Ours: the program's defaults, learning from the experts alone."
    assert about["retrieval"].startswith("Humphreys et al. 2022: neighbors")
    run = next(row for row in listed["runs"] if row["folder"] == str(trained))
    assert run["status"] == "ok" and run["measure"] == "normalized_score_100"
    shown = json.loads(invoke("show", trained, "--json").stdout)
    assert shown["result"]["summary"]["mean"] == run["score"]
    assert shown["metrics"][-1]["step"] == 2
    assert "last metrics" in invoke("show", trained / "result.json").stdout
    checked = json.loads(invoke("verify", root, "--json").stdout)
    assert checked["damaged"] == [] and checked["artifacts"] >= 1 and checked["bytes"] > 0


def test_go_is_listed_beside_the_other_paper():
    listed = json.loads(invoke("list", "--json").stdout)
    papers = {row["name"]: row["paper"] for row in listed["tasks"]}
    assert papers["go9"] == "go" and papers["hopper-medium"] == "reframe"
    presets = [(row["name"], row["steps"]) for row in listed["presets"] if row["paper"] == "go"]
    assert [name for name, _ in presets] == ["smoke", "quick", "default", "paper"]
    assert [steps for _, steps in presets] == sorted(steps for _, steps in presets)
    assert "go9" in invoke("list", "tasks").stdout


def test_verify_finds_a_flipped_byte(trained, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    assert invoke("verify", copy).exit_code == 0
    (state,) = copy.glob("checkpoints/*/state.npz")
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    found = invoke("verify", copy, "--json")
    assert found.exit_code == 5
    assert json.loads(found.stdout)["damaged"] and str(state) in found.stderr
    assert invoke("verify", tmp_path / "nothing").exit_code == 5


def test_verify_finds_a_changed_result(trained, tmp_path):
    copy = tmp_path / "result.json"
    copy.write_text((trained / "result.json").read_text().replace('"seed": 0', '"seed": 1'))
    found = invoke("verify", tmp_path)
    assert found.exit_code == 5 and "result.json has changed" in found.stderr
    shutil.copy(trained / "result.json", copy)
    checked = json.loads(invoke("verify", tmp_path, "--json").stdout)
    assert (checked["artifacts"], checked["results"], checked["files"]) == (0, 1, 1)


def test_a_gpu_that_is_not_there(tmp_path, monkeypatch):
    def no_devices(platform):
        raise RuntimeError(f"Unknown backend {platform}")

    monkeypatch.setattr(jax, "devices", no_devices)
    refused = invoke("train-policy", *CHOICE, "--runs", tmp_path, "--device", "gpu")
    assert refused.exit_code == 3 and "--device cpu" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_looking_leaves_nothing_behind(root, trained):
    before = files_below(root)
    for words in (["list", "--runs", root], ["show", trained], ["verify", root]):
        assert invoke(*words).exit_code == 0
    assert files_below(root) == before
