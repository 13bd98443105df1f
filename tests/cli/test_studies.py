"""Studies, comparisons and lists of runs from the command line, over both papers."""

import csv
import io
import json

import pytest

from retrieve_rl.cli import device
from retrieve_rl.config import named_files
from retrieve_rl.documents import read_document, write_document
from retrieve_rl.study import ablate as study

RE_FRAME = """
title = "Tiny"
tasks = ["hopper-medium"]
arms = ["bc-experts"]
preset = "smoke"
[settings]
"mlp.width" = 8
"train.steps" = 2
"evaluate.episodes" = 2
[grid]
"data.num_experts" = [2, 1000]
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "tiny.toml"
        path.write_text(text)
        return path

    return write


def test_a_study_hands_over_and_fails_with_its_cells(invoke, tmp_path, monkeypatch):
    given = {}

    def ablate(asked, paper_of, **options):
        given.update(options, asked=asked, paper_of=paper_of)
        names = {"task": "hopper-medium", "arm": "bc-experts", "settings": {"k": 1}, "seed": 3}
        failed = {**names, "status": "failed", "error": "out of luck"}
        numbers = {"mean": 1.0, "low": 0.0, "high": 2.0, "measure": "return_raw", "episodes": 2}
        return {
            "title": "T",
            "summary": {"hopper-medium": {"reframe": {**numbers, "interval": "of episodes"}}},
            "cells": [{"status": "ok"}, failed],
            "notes": ["data differs"],
            "failed": 1,
            "files": ["report.json"],
        }

    monkeypatch.setattr(study, "ablate", ablate)
    words = ["memory-size", "--seed", 3, "--set", "train.steps=2", "--runs", tmp_path, "--jobs", 2]
    ended = invoke("ablate", *words)
    assert ended.exit_code == 6 and "1 of 2 cells failed" in ended.stderr
    lost = "hopper-medium bc-experts k=1 seed=3   out of luck"
    for text in ("report.json", "hopper-medium reframe", "of episodes", "data differs", lost):
        assert text in ended.stdout
    asked = given["asked"]
    assert (asked.name, asked.seed, asked.task) == ("memory-size", 3, None)
    assert asked.settings == ["train.steps=2"]
    assert (given["root"], given["jobs"]) == (tmp_path, 2)
    assert given["paper_of"]("go9").name == "go"


@pytest.mark.usefixtures("own_cache", "short_data")
def test_a_study_of_reframe(invoke, write, tmp_path):
    words = ["ablate", write(RE_FRAME), "--runs", tmp_path / "runs", "--cells", tmp_path / "cells"]
    planned = invoke(*words, "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert "2 cells of preset smoke: 0 done, 2 to do" in planned.stdout
    assert "unknown (no cell is finished)" in planned.stdout
    assert not (tmp_path / "runs").exists()
    ended = invoke(*words, "-q", "--json")
    assert ended.exit_code == 6 and "1 of 2 cells failed" in ended.stderr
    report = json.loads(ended.stdout)
    done, failed = report["cells"]
    assert "data.num_experts = 1000" in failed["error"]
    row = report["summary"]["hopper-medium"]["bc-experts"]["data.num_experts=2"]
    assert row["measure"] == "normalized_score_100" and row["episodes"] == 2
    (file,) = (tmp_path / "cells").glob("smoke/hopper-medium/bc-experts-s0-*.json")
    cell = json.loads(file.read_text())
    assert cell["identity"]["data"]["dataset"] == "rrl/hopper/medium-short-v0@1"
    assert set(cell["digests"]) == {"rrl/hopper/medium-short-v0@1", "rrl/hopper/expert-short-v0@1"}
    assert set(cell["outcomes"]["values"]) == {"return_raw", "normalized_score_100", "length"}
    assert file.stat().st_size < 6000
    again = json.loads(invoke(*words, "--dry-run", "--json").stdout)
    assert (again["done"], again["to_do"]) == (1, 1) and again["expected_seconds"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("short_data")
def test_cells_are_the_same_bit_for_bit_in_processes_of_their_own(invoke, write, tmp_path):
    """On half of the cores, rounding is that of all of them."""
    study = write(RE_FRAME.replace("[2, 1000]", "[2, 1]"))
    wide = ["mlp.width=256", "train.batch_size=512", "train.context_len=4", "train.steps=25"]
    told = []
    for jobs in (1, 2):
        cells = tmp_path / str(jobs)
        words = ["--runs", tmp_path / f"runs-{jobs}", "--cells", cells, "--jobs", jobs, "-q"]
        for setting in (*wide, "evaluate.episodes=1"):
            words += ["--set", setting]
        ended = invoke("ablate", study, *words)
        assert ended.exit_code == 0, ended.output
        documents = [json.loads(path.read_text()) for path in sorted(cells.rglob("*.json"))]
        for document in documents:
            del document["seconds"]
        told.append(documents)
    assert len(told[0]) == 2 and told[0] == told[1]


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_study_of_go(invoke, write, tmp_path, random_sgf, go_settings):
    (tmp_path / "games.sgf").write_bytes(b"".join(random_sgf(seed) for seed in range(60)))
    from retrieve_rl.go.sources import digest_of_records

    source = {"file": "games.sgf", "sha256": digest_of_records(tmp_path / "games.sgf")}
    task = tmp_path / "mine.toml"
    task.write_text(
        f'paper = "go"\n[data]\nfolder = "{tmp_path}"\n'
        f'[[data.sources]]\nfile = "games.sgf"\nsha256 = "{source["sha256"]}"\n'
    )
    text = f"""
title = "Tiny"
tasks = ["{task}"]
arms = ["retrieval"]
preset = "smoke"
[[also]]
arms = ["baseline"]
"""
    words = ["ablate", write(text), "--runs", tmp_path / "runs", "--cells", tmp_path / "cells"]
    settings = [
        *go_settings,
        *("encoder.steps=2", "train.steps=2", "train.batch_size=4", "model.channels=4"),
        *("model.unroll_steps=1", "held_out.positions=20", "held_out.num_neighbors=[1]"),
        "held_out.fractions=[0.5]",
    ]
    for setting in settings:
        words += ["--set", setting]
    ended = invoke(*words, "-q")
    assert ended.exit_code == 0, ended.output
    assert "0.5 of the games" in ended.stdout and "random neighbors" in ended.stdout
    (file,) = (tmp_path / "runs" / "reports").glob("tiny-*/report.json")  # not the plain study's
    report = json.loads(file.read_text())
    rows = report["summary"]["mine"]
    assert rows["retrieval"]["measure"] == "top1" and 0 <= rows["retrieval"]["mean"] <= 1
    assert rows["retrieval"]["interval"] == "evaluation episodes only"
    assert rows["baseline"]["difference"]["pairs"] == rows["retrieval"]["episodes"]
    assert {"no neighbors", "0.5 of the games"} <= set(rows["retrieval"]["conditions"])
    assert str(tmp_path) not in "".join(
        path.read_text() for path in (tmp_path / "cells").rglob("*.json")
    )


@pytest.mark.usefixtures("own_cache")
def test_two_papers_make_no_study(invoke, write, tmp_path):
    mixed = write(RE_FRAME.replace('["hopper-medium"]', '["hopper-medium", "go9"]'))
    refused = invoke("ablate", mixed, "--runs", tmp_path / "runs", "--dry-run")
    assert refused.exit_code == 2 and "a study is of one paper" in refused.stderr


@pytest.fixture
def two_runs(tmp_path):
    """The root of two runs of the same task, judged on the same three episodes."""
    from retrieve_rl.reframe.config import config_hash, resolve
    from retrieve_rl.results import RunResult, run_folder, write_result

    root = tmp_path / "runs"
    for arm, level in (("reframe", 30.0), ("backbone", 10.0)):
        config = resolve("hopper-medium", preset="smoke", arm=arm)
        names = {"task": config.task, "arm": arm, "preset": "smoke", "seed": 0}
        names["config_hash"] = config_hash(config)
        folder = run_folder(root, "train-policy", **names)
        outcomes = [
            {"seed": n, "return_raw": level + n, "normalized_score_100": 2.0 * n, "length": 5}
            for n in range(3)
        ]
        facts = {"recipe": "rrl/hopper/medium-short-v0@1", "sha256": "ab"}
        result = RunResult(
            command="train-policy",
            status="ok",
            results_version=2,
            config=config.model_dump(mode="json"),
            inputs={"dataset": facts, "experts": facts},
            outcomes=outcomes,
            summary={"measure": "return_raw", "mean": level + 1.0, "low": level, "high": level + 2},
            **names,
        )
        write_result(folder, result)
        (folder / "config.json").write_text(json.dumps(result.config))
    return root


def test_two_runs_are_compared_by_episode(invoke, document, two_runs):
    ours, base = (next(two_runs.glob(f"*/*/{arm}-*")) for arm in ("reframe", "backbone"))
    told = document(invoke("compare", ours, base, "--json"))
    found = told["measures"]["return_raw"]
    assert (found["first"], found["second"], found["pairs"]) == (31.0, 11.0, 3)
    assert found["difference"] == {"mean": 20.0, "low": 20.0, "high": 20.0}
    assert told["measures"]["normalized_score_100"]["difference"]["mean"] == 0.0
    shown = invoke("compare", ours, base / "result.json")
    assert shown.exit_code == 0 and "20 [20, 20]" in shown.stdout
    assert "evaluation episodes only" in shown.stdout
    changed = read_document(base / "result.json")
    write_document(base / "result.json", {**changed, "results_version": 1})
    refused = invoke("compare", ours, base)
    assert refused.exit_code == 5 and "results_version 2 and 1" in refused.stderr
    assert invoke("compare", ours, two_runs).exit_code == 5


def test_runs_are_found_by_their_values(invoke, document, two_runs):
    def found(*conditions):
        words = [word for condition in conditions for word in ("--where", condition)]
        rows = document(invoke("list", "runs", "--runs", two_runs, "--json", *words))["runs"]
        return [row["arm"] for row in rows]

    assert found() == ["backbone", "reframe"]
    assert found("task=hopper-medium", "arm=reframe") == ["reframe"]
    assert found("retrieval.source=none") == ["backbone"]
    assert found("train.steps=50", "data.short=true", "seed=0") == ["backbone", "reframe"]
    assert found("train.steps=51") == [] == found("status=damaged")
    (row,) = document(
        invoke("list", "runs", "--runs", two_runs, "--json", "--where", "arm=reframe")
    )["runs"]
    assert (row["score"], row["low"], row["measure"]) == (31.0, 30.0, "return_raw")
    assert (row["command"], row["preset"]) == ("train-policy", "smoke")
    for words, message in (
        (["runs", "--where", "train.step=2"], "no run has train.step"),
        (["runs", "--where", "arm"], "key=value"),
        (["runs", "--where", "a={b=1,c=2}"], "one value"),
        (["tasks", "--where", "arm=x"], "chooses among runs"),
        (["--csv"], "one table"),
    ):
        refused = invoke("list", *words, "--runs", two_runs)
        assert refused.exit_code == 2 and message in refused.stderr


def test_the_platform_is_told_without_starting_jax(monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    assert [device.likely_platform(asked) for asked in ("auto", "gpu")] == ["cpu", "gpu"]
    monkeypatch.setattr(device, "find_spec", lambda name: name == "jax_cuda13_plugin" or None)
    assert [device.likely_platform(asked) for asked in ("auto", "cpu")] == ["gpu", "cpu"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert device.likely_platform("auto") == "cpu"


def test_studies_are_listed(invoke, document):
    rows = {row["name"]: row for row in document(invoke("list", "studies", "--json"))["studies"]}
    assert rows.keys() == named_files("ablations").keys()
    assert rows["memory-size"] == {
        "name": "memory-size",
        "title": "Memory size",
        "tasks": "hopper-medium-replay, walker2d-medium",
        "preset": "quick",
    }
    assert "list studies" in invoke("ablate", "--help").stdout


def test_runs_as_comma_separated_values(invoke, two_runs):
    shown = invoke("list", "runs", "--runs", two_runs, "--csv")
    assert shown.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row["arm"] for row in rows] == ["backbone", "reframe"]
    assert float(rows[1]["score"]) == 31.0
    assert invoke("list", "runs", "--runs", two_runs / "none", "--csv").stdout == ""
    tasks = list(csv.DictReader(io.StringIO(invoke("list", "tasks", "--csv").stdout)))
    assert {row["name"] for row in tasks} >= {"hopper-medium", "go9"}
    assert next(row["env"] for row in tasks if row["name"] == "go9") == ""
