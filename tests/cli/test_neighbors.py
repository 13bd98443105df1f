"""rrl neighbors on a tiny build-index run: what it prints and writes, and what it refuses."""

import json
import shutil

import matplotlib.image
import pytest

pytestmark = pytest.mark.usefixtures("own_cache")
FILES = (".svg", ".png", ".json")


@pytest.fixture(scope="module")
def choice(make_choice):
    """The options of a run on sixty random games, and where it goes."""
    return make_choice()


@pytest.fixture(scope="module")
def run(choice, invoke):
    """The folder of that run, finished."""
    made = invoke("build-index", *choice)
    assert made.exit_code == 0, made.output
    (result,) = choice[-1].glob("build-index/*/*/result.json")
    return result.parent


@pytest.fixture
def game(tmp_path, random_sgf):
    """The file of a game that is in the store, too."""
    path = tmp_path / "mine.sgf"
    path.write_bytes(random_sgf(7))
    return path


def test_a_row_is_shown_and_drawn_beside_its_run(choice, run, invoke, document):
    shown = invoke("neighbors", *choice, "--row", 45)
    assert shown.exit_code == 0, shown.output
    for told in ("query", "neighbor 4", "A B C D E F G H J", "distance ", "row 45", "next "):
        assert told in shown.stdout
    files = [run / "neighbors" / f"row-45{suffix}" for suffix in FILES]
    assert shown.stdout.splitlines()[-3:] == [str(file) for file in files]
    assert sorted((run / "neighbors").iterdir()) == sorted(files)
    assert files[0].read_text().startswith("<?xml")
    assert matplotlib.image.imread(files[1]).shape[1] > 5 * 300
    written = json.loads(files[2].read_text())
    assert document(invoke("neighbors", *choice, "--row", 45, "--json")) == written
    query, found = written["query"], written["neighbors"]
    assert (written["command"], written["run"], query["row"]) == ("neighbors", str(run), 45)
    assert [len(line) for line in query["board"]] == [9] * 9
    assert query["winner"] == "black" and query["margin"] == 3.0 and query["komi"] == 7.0
    assert len(found) == 4 and all(one["entry"] != query["entry"] for one in found)
    distances = [one["distance"] for one in found]
    assert distances == sorted(distances)


def test_a_game_hides_itself(choice, run, game, tmp_path, invoke, document):
    words = ["--game", game, "--ply", 30, "--num-neighbors", 9, "--out", tmp_path / "pictures"]
    told = document(invoke("neighbors", *choice, *words, "--json"))
    assert told["query"]["file"] == "mine.sgf" and told["query"]["ply"] == 30
    assert len(told["neighbors"]) == 9
    assert all(one["entry"] != 7 for one in told["neighbors"])
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {f"mine.sgf-ply-30{suffix}" for suffix in FILES}


@pytest.mark.parametrize("name", ["a.b.svg", "a.b.png", "a.b.json"])
def test_a_file_is_named(choice, run, tmp_path, name, invoke):
    shown = invoke("neighbors", *choice, "--row", 0, "--out", tmp_path / name)
    assert shown.exit_code == 0, shown.output
    assert {path.name for path in tmp_path.iterdir()} == {f"a.b{suffix}" for suffix in FILES}


def test_without_a_run_the_command_that_makes_it_is_named(choice, tmp_path, invoke):
    root = tmp_path / "runs"
    refused = invoke("neighbors", *choice[:-1], root, "--seed", 3, "--row", 0)
    assert refused.exit_code == 5 and refused.stdout == ""
    assert "no finished run of this config" in refused.stderr and "not started" in refused.stderr
    command = refused.stderr.strip().splitlines()[-1].partition(": ")[2]
    assert command.startswith("rrl build-index --task go9 --preset smoke --seed 3 --games ")
    assert command.endswith(f"--runs {root}") and not root.exists()


def test_deleted_artifacts_are_not_made_again(choice, run, tmp_path, invoke):
    copy = tmp_path / "runs"
    shutil.copytree(choice[-1], copy)
    for folder, message in (
        ("indexes", "is not an artifact"),
        ("encoders", "no checkpoint of step 2"),
        ("stores", "is not there"),
    ):
        shutil.rmtree(copy / folder)
        refused = invoke("neighbors", *choice[:-1], copy, "--row", 0)
        assert refused.exit_code == 5 and message in refused.stderr
        assert "rrl build-index --force" in refused.stderr
        assert not (copy / folder).exists()


@pytest.mark.parametrize(
    "words, code, message",
    [
        ((), 2, "--game FILE.sgf and --ply N, or --row N"),
        (("--ply", 3), 2, "name one position"),
        (("--game", "@mine.sgf"), 2, "name one position"),
        (("--row", 3, "--ply", 3), 2, "name one position"),
        (("--row", 3, "--game", "@mine.sgf", "--ply", 3), 2, "name one position"),
        (("--row", -1), 2, "--row"),
        (("--row", 3, "--num-neighbors", 0), 2, "--num-neighbors"),
        (("--row", 2400), 2, "no row 2400: the store has rows 0 to 2399"),
        (("--game", "@mine.sgf", "--ply", 41), 2, "its plies are 0 to 40"),
        (("--game", "@none.sgf", "--ply", 0), 5, "does not exist"),
        (("--game", "@wide.sgf", "--ply", 0), 5, "another board size"),
        (("--row", 3, "--out", "@mine.sgf"), 2, "no folder"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(
    choice, run, game, tmp_path, words, code, message, invoke
):
    (tmp_path / "wide.sgf").write_text("(;SZ[13]KM[7];B[aa])")
    words = [str(word).replace("@", f"{tmp_path}/") for word in words]
    refused = invoke("neighbors", *choice, *words)
    assert refused.exit_code == code, refused.output
    assert message in refused.stderr and "Traceback" not in refused.output
    assert refused.stdout == ""


def test_a_task_is_needed(invoke):
    refused = invoke("neighbors", "--row", 0)
    assert refused.exit_code == 2 and "--task is needed: one of go9" in refused.stderr
