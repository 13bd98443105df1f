"""train-policy, evaluate and gtp for a task of Go: a tiny run, its matches, and what is refused."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from retrieve_rl.documents import read_document

pytestmark = pytest.mark.usefixtures("own_cache")


FAKE_ENGINE = Path(__file__).resolve().parents[2] / "benchmarks/fake_engine.py"


def fake_engine(*words):
    return shlex.join([sys.executable, "-I", "-S", str(FAKE_ENGINE), *words])


@pytest.fixture(scope="module")
def choice(make_choice):
    """The options of a run on sixty random games, and where it goes."""
    return make_choice()


@pytest.fixture(scope="module")
def trained(choice, invoke, document):
    """The folder of that run, finished."""
    made = document(invoke("train-policy", *choice, "--json"))
    (result,) = choice[-1].glob("train-policy/go9/*/result.json")
    assert read_document(result) == made
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
    other = document(invoke("train-policy", *choice, "--arm", "distance", "--seed", 1, "--json"))
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
        (["train-policy", "--task", "go9", "--arm", "reframe"], "arm reframe is of Re:Frame; here"),
        (["train-policy", "--task", "go8"], "did you mean go9"),
        (["train-amb", "--task", "go9"], "is a task of Go"),
        (
            ["build-index", "--task", "hopper-medium"],
            "task hopper-medium is of Re:Frame; here: go9",
        ),
        (["evaluate", trained, "--games", 4], "needs --opponent"),
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


def test_a_match_is_played_once_and_its_games_are_kept(choice, trained, invoke, document):
    played = ["evaluate", trained, "--opponent", fake_engine("--moves", "6"), "--games", 2]
    played += ["--simulations", 2, "--json", "-q"]
    result = invoke(*played)
    match = document(result)
    plan = document(invoke(*played, "--dry-run"))
    assert plan["status"] == "finished" and plan["config"] == match["config"]
    folder = Path(plan["folder"])
    assert folder.parent == choice[-1] / "evaluate" / "go9" and folder.name != trained.name
    files = {f"game-0000{number}.{kind}" for number in (0, 1) for kind in ("json", "sgf")}
    assert {path.name for path in (folder / "games").iterdir()} == files
    summary = match["summary"]
    assert (summary["measure"], summary["games"], summary["void"]) == ("score", 2, 0)
    points = summary["wins"] + 0.5 * summary["draws"]
    assert summary["mean"] == summary["score"]["mean"] == points / 2
    assert [game["game"]["player_is_black"] for game in match["outcomes"]] == [True, False]
    training = json.loads((trained / "result.json").read_text())
    assert match["retrieval"]["sha256"] == training["retrieval"]["sha256"]
    told = match["retrieval"]["distances_of_played"]
    assert told["positions"] > 10 and told["nearest"]["mean"] >= 0
    assert 0 < match["timings"]["network_share"] <= 1
    assert match["timings"]["simulations_per_second"] > 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = invoke(*played)
    assert document(again) == match
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert invoke(*played, "--fail-under", 1.1).exit_code == 6


def test_how_it_plays_is_part_of_a_match(trained, invoke, document):
    words = ["evaluate", trained, "--opponent", "gnugo", "--dry-run", "--json"]
    folders = [
        document(invoke(*words, *more))["folder"]
        for more in (
            [],
            ["--simulations", 0],
            ["--player", "gumbel"],
            ["--neighbors", "random"],
            ["--num-neighbors", 3],
            ["--games", 2],
            ["--move-seconds", 2],
        )
    ]
    assert len(set(folders)) == len(folders)
    alone = document(invoke(*words, "--simulations", 0))["config"]["agent"]
    assert alone["search"]["player"] == "prior"
    assert document(invoke(*words, "--player", "prior"))["folder"] == folders[1]


def test_matches_that_cannot_be_played(trained, tmp_path, invoke):
    game = tmp_path / "pachi"
    game.write_text("#!/bin/sh\necho no display >&2\nexit 1\n")
    game.chmod(0o755)
    match = ["evaluate", trained, "--opponent"]
    for words, code, message in (
        ([*match, "no-such-engine"], 3, "'no-such-engine' is not there"),
        ([*match, game], 3, "the package pachi of Debian is another program"),
        ([*match, "'"], 2, "cannot be read"),
        ([*match, "gnugo", "--games", 3], 2, "an even number"),
        ([*match, "gnugo", "--games", "my.sgf"], 2, "name the RUN"),
        ([*match, "gnugo", "--player", "prior", "--simulations", 9], 2, "makes no simulations"),
        ([*match, "gnugo", "--episodes", 9], 2, "--games N"),
        ([*match, "gnugo", "--openings", tmp_path / "none.txt"], 5, "cannot be read"),
        (["evaluate", trained, "--simulations", 9], 2, "need --opponent"),
        (["gtp", trained, "--player", "prior", "--simulations", 9], 2, "makes no simulations"),
        (["gtp", tmp_path], 5, "does not exist"),
    ):
        refused = invoke(*words)
        assert refused.exit_code == code, (words, refused.output)
        assert message in refused.stderr, words


def test_too_many_void_games_exit_6_each_time_and_are_kept(trained, invoke):
    words = ["evaluate", trained, "--opponent", fake_engine("--seed", "{seed}", "play:2:exit:0")]
    words += ["--games", 2, "--player", "prior", "-q"]
    for _ in range(2):
        failed = invoke(*words)
        assert failed.exit_code == 6 and "2 of 2 games are void" in failed.stderr
        assert "Void" not in failed.stdout and "void_share" in failed.stdout


def test_a_policy_is_an_engine(trained, invoke):
    script = "1 boardsize 9\n2 komi 7\n3 genmove b\n4 rrl-neighbors\n5 fly\n6 final_score\n7 quit\n"
    told = invoke("gtp", trained, "--simulations", 2, "--num-neighbors", 3, given=script)
    assert told.exit_code == 0, told.output
    answers = told.stdout.split("\n\n")
    assert answers[:2] == ["=1", "=2"] and answers[4] == "?5 unknown command"
    assert len(answers) == 8 and answers[7] == ""
    move = answers[2].removeprefix("=3 ")
    assert answers[5] == ("=6 W+7" if move == "pass" else "=6 B+74")
    neighbors = answers[3].removeprefix("=4 ").splitlines()
    assert len(neighbors) == 3
    line = r"row \d+ distance \S+ ply \d+ (black|white) to move, (won by (black|white)|a draw):.*"
    assert all(re.fullmatch(line, neighbor) for neighbor in neighbors)
