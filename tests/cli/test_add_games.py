"""build-index --add for a task of Go, and evaluate with what has grown."""

import pytest

from retrieve_rl.documents import read_document
from retrieve_rl.retrieval.recall import RecallTest

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def choice(make_choice):
    """The options of a run on sixty random games, and where it goes."""
    return make_choice()


@pytest.fixture(scope="module")
def trained(choice, invoke, document):
    """The folder of a trained policy, whose index was built before."""
    document(invoke("build-index", *choice, "--json"))
    document(invoke("train-policy", *choice, "--json"))
    (result,) = choice[-1].glob("train-policy/go9/*/result.json")
    return result.parent


@pytest.fixture(scope="module")
def played(tmp_path_factory, random_sgf):
    """A folder of games as a match leaves it: SGFs beside their JSON."""
    folder = tmp_path_factory.mktemp("played")
    for seed in (100, 101):
        (folder / f"game-{seed}.sgf").write_bytes(random_sgf(seed))
        (folder / f"game-{seed}.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def added(choice, trained, played, invoke):
    """What is printed where they are added: first the folder of the version."""
    done = invoke("build-index", *choice, "--add", played)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_version_is_made_once_and_asked(choice, trained, played, added, invoke, document):
    folder = added.splitlines()[0]
    assert folder.startswith(str(choice[-1] / "build-index" / "go9" / "retrieval-smoke-s0-"))
    assert "positions_added" in added and "median_distance.added_to_grown" in added
    told = document(invoke("build-index", *choice, "--add", played, "--json"))
    assert told == read_document(choice[-1] / folder / "result.json")
    assert told["summary"]["games_added"] == 2
    again = document(invoke("build-index", *choice, "--json"))
    assert again["retrieval"]["sha256"] == told["retrieval"]["parent_sha256"]
    before = document(invoke("evaluate", trained, "--json", "-q"))
    judged = document(invoke("evaluate", trained, "--index", folder, "--json", "-q"))
    assert judged["retrieval"]["sha256"] == told["retrieval"]["sha256"]
    assert judged["retrieval"]["trained_with_sha256"] == before["retrieval"]["sha256"]
    assert document(invoke("evaluate", trained, "--json", "-q")) == before
    checked = document(invoke("verify", folder, "--json"))
    assert checked["artifacts"] == 3 and not checked["damaged"]


def test_a_game_that_was_added_is_found_beside_it(
    choice, trained, played, added, tmp_path, invoke, document
):
    moves = (played / "game-100.sgf").read_bytes().split(b";")
    (tmp_path / "like-it.sgf").write_bytes(b";".join(moves[:32]) + b")")
    asked = ("--game", tmp_path / "like-it.sgf", "--ply", 20, "--out", tmp_path, "--json")
    before = document(invoke("neighbors", *choice, *asked))
    after = document(invoke("neighbors", *choice, *asked, "--index", added.splitlines()[0]))
    assert before["query"] == after["query"]
    nearest = after["neighbors"][0]
    assert (nearest["file"], nearest["ply"]) == ("game-100.sgf", 20)
    assert nearest["distance"] < before["neighbors"][0]["distance"]


def test_a_version_grows(choice, added, random_sgf, tmp_path, invoke, document):
    for name, seeds in (("one", (100, 102)), ("two", (103,))):
        (tmp_path / f"{name}.sgf").write_bytes(b"".join(map(random_sgf, seeds)))
    files = ("--add", tmp_path / "one.sgf", "--add", tmp_path / "two.sgf")
    more = ("--to", added.splitlines()[0], "--positions", 60, "--json")
    plan = document(invoke("build-index", *choice, *files, *more, "--dry-run"))
    assert plan["status"] == "not started"
    told = document(invoke("build-index", *choice, *files, *more))
    assert told["summary"]["positions_added"] == 60
    assert told["summary"]["games_left_out"] == {"already in the retrieval set": 1}
    assert [record["name"] for record in told["inputs"]["added"]["records"]] == [
        "one.sgf",
        "two.sgf",
    ]
    assert (
        document(invoke("build-index", *choice, *files, *more, "--dry-run"))["folder"]
        == (plan["folder"])
    )


def test_a_missed_recall_of_what_was_added_exits_6_each_time(
    choice, added, random_sgf, tmp_path, invoke, monkeypatch
):
    (tmp_path / "more.sgf").write_bytes(random_sgf(104))
    with monkeypatch.context() as patch:
        patch.setattr(RecallTest, "recall", lambda self, index: (0.5, 0.0))
        assert invoke("build-index", *choice, "--add", tmp_path / "more.sgf").exit_code == 6
    missed = invoke("build-index", *choice, "--add", tmp_path / "more.sgf")
    assert missed.exit_code == 6 and "recall@10 is 0.500, 0.95 was wanted" in missed.stderr
    assert "positions_added" in missed.stdout


def test_what_cannot_be_added_is_said_in_one_line(
    choice, trained, played, added, random_sgf, tmp_path, invoke
):
    (tmp_path / "known.sgf").write_bytes(random_sgf(7))
    build = ("build-index", *choice)
    for words, code, message in (
        ((*build, "--add", tmp_path / "known.sgf"), 5, "no game is left to add"),
        ((*build, "--add", tmp_path / "none.sgf"), 5, "expected game records"),
        ((*build, "--add", played, "--positions", 81), 5, "the new games have 80"),
        ((*build, "--add", played, "--to", tmp_path), 5, "is not an artifact"),
        ((*build, "--add", played, "--seed", 9), 5, "rrl build-index --task go9 --preset"),
        ((*build, "--positions", 3), 2, "say how --add PATH adds games"),
        (("build-index", "--keys", "k.npy", "--out", "o", "--add", "a", "--to", "b"), 2, "--task"),
        (("evaluate", trained, "--index", tmp_path), 5, "is not an artifact"),
    ):
        refused = invoke(*words)
        assert refused.exit_code == code, (words, refused.output)
        assert message in refused.stderr and "Traceback" not in refused.output


def test_a_baseline_asks_no_index(choice, added, invoke, document):
    document(invoke("train-policy", *choice, "--arm", "baseline", "--json"))
    words = ("evaluate", *choice, "--arm", "baseline", "--index", added.splitlines()[0])
    refused = invoke(*words)
    assert refused.exit_code == 2 and "retrieves nothing: leave out --index" in refused.stderr
