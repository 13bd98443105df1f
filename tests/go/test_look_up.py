"""Looking up a position whose neighbors are known: mirror images of it in other games."""

import json

import numpy as np
import pytest
from flax import nnx

from retrieve_rl.go.built import Built
from retrieve_rl.go.data import GoData
from retrieve_rl.go.encoder import TrainedEncoder, new_encoder
from retrieve_rl.go.games import Source, read_records
from retrieve_rl.go.index import make_index
from retrieve_rl.go.look_up import document_of_look_up, look_up
from retrieve_rl.go.queries import query_of_game, query_of_row
from retrieve_rl.go.splits import TRAINING
from retrieve_rl.go.store import open_store, write_store
from retrieve_rl.go.symmetries import IMAGES
from retrieve_rl.progress import Reporter

LETTERS = "abcdefghi"
# No image of the position after these moves is the position itself.
OPENING = "cc gg gc cg ee ec ce hg ge dd".split()
PLY = len(OPENING)
LEFT_TO_RIGHT = 1


def moved(name, symmetry):
    """An SGF point moved by a symmetry."""
    row, column = divmod(
        int(IMAGES[symmetry, LETTERS.index(name[1]) * 9 + LETTERS.index(name[0])]), 9
    )
    return LETTERS[column] + LETTERS[row]


def game(moves, symmetry=0, header="KM[7]RE[B+3]"):
    nodes = (f";{'BW'[n % 2]}[{moved(move, symmetry)}]" for n, move in enumerate(moves))
    return f"(;SZ[9]{header}{''.join(nodes)})"


ASKING = game([*OPENING, "fd", "fe", "df"])
MIRRORED = game([*OPENING, "hh", "bb"], LEFT_TO_RIGHT, header="KM[7]RE[W+R]PB[Mirror]")


@pytest.fixture(scope="module")
def built(go_config, tmp_path_factory, random_sgf, make_shared_run):
    """An index by an untrained encoder over the asking game, its mirrored twin and others."""
    folder = tmp_path_factory.mktemp("twins")
    others = "".join(random_sgf(seed).decode() for seed in range(8))
    (folder / "games.sgf").write_text(ASKING + MIRRORED + others)
    records = read_records(
        [Source(folder / "games.sgf")], fraction=1.0, seed=0, workers=1, reporter=Reporter(-1)
    )
    write_store(folder / "store", records, made_from={}, metadata={})
    store = open_store(folder / "store")
    split = np.full(len(store.games), TRAINING, np.int8)
    data = GoData(store, split, np.arange(store.positions.num_positions))
    graphdef, params = nnx.split(new_encoder(go_config.encoder, 0))
    encoder = TrainedEncoder(graphdef, params, "0" * 64)
    return Built(data, encoder, make_index(go_config, data, encoder, make_shared_run()))


@pytest.fixture
def ask(go_config, built, tmp_path):
    """ask(text, ply, k): what is found for a game that is in a file."""

    def make(text, ply=PLY, num_neighbors=3):
        (tmp_path / "asking.sgf").write_text(text)
        return look_up(go_config, built, query_of_game(tmp_path / "asking.sgf", ply), num_neighbors)

    return make


def row_of(built, entry, ply):
    positions, games = built.data.store.positions, built.data.store.games
    (game,) = np.flatnonzero(games.entries == entry)
    (row,) = np.flatnonzero((positions.games == game) & (positions.plies == ply))
    return int(row)


def check_twin(found, symmetry_of_query=0):
    """The nearest is the mirrored game's position, turned as the query is."""
    nearest = found.neighbors[0]
    assert nearest.distance == pytest.approx(0, abs=1e-4)
    assert nearest.diagram.record.players[0] == "Mirror"
    np.testing.assert_array_equal(nearest.diagram.stones, found.query.stones)
    following = [moved(name, symmetry_of_query) for name in ("hh", "bb")]
    assert [
        LETTERS[move % 9] + LETTERS[move // 9] for move in nearest.diagram.next_moves
    ] == following
    assert found.neighbors[1].distance > 0.01
    distances = [one.distance for one in found.neighbors]
    assert distances == sorted(distances)


@pytest.mark.parametrize("symmetry", range(8))
def test_a_mirror_image_is_found_and_turned_and_the_own_game_is_hidden(ask, symmetry):
    found = ask(game([*OPENING, "fd", "fe", "df"], symmetry))
    check_twin(found, symmetry)
    assert all(one.diagram.record.entry != 0 for one in found.neighbors)


def test_a_row_hides_its_own_game(go_config, built):
    row = row_of(built, 0, PLY)
    found = look_up(go_config, built, query_of_row(built.data.store, row), 200)
    check_twin(found)
    assert found.neighbors[0].symmetry == LEFT_TO_RIGHT
    positions = built.data.store.positions
    told = [one.diagram.row for one in found.neighbors]
    assert len(set(told)) == 200
    assert (positions.games[told] != positions.games[row]).all()


def test_another_game_with_the_same_opening_finds_both(ask):
    found = ask(game([*OPENING, "ii", "ia"]))
    entries = {one.diagram.record.entry: one for one in found.neighbors[:2]}
    assert set(entries) == {0, 1}
    for one in entries.values():
        assert one.distance == pytest.approx(0, abs=1e-4)
        np.testing.assert_array_equal(one.diagram.stones, found.query.stones)


def test_one_orientation_does_not_see_the_mirror_image(go_config, built, tmp_path):
    (tmp_path / "asking.sgf").write_text(ASKING)
    index = go_config.index.model_copy(update={"orientations": 1})
    config = go_config.model_copy(update={"index": index})
    found = look_up(config, built, query_of_game(tmp_path / "asking.sgf", PLY), 1)
    assert found.neighbors[0].distance > 0.01 and found.neighbors[0].symmetry == 0


def test_there_are_no_more_neighbors_than_positions_of_other_games(ask, built):
    count = built.data.store.positions.num_positions
    found = ask(ASKING, num_neighbors=count)
    assert len(found.neighbors) == count - (PLY + 3)


def test_the_last_position_of_a_game_asks_too(ask):
    found = ask(ASKING, ply=PLY + 3, num_neighbors=2)
    assert found.query.next_moves == () and len(found.neighbors) == 2


def test_the_document_is_strict_json_and_says_everything(ask):
    document = document_of_look_up(ask(ASKING, num_neighbors=1))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    query, (nearest,) = document["query"], document["neighbors"]
    assert query["board"][2] == "..X.O.X.." and query["board"][4] == "..X.X.X.."
    assert query["board"] == nearest["board"]
    assert query["next_moves"] == ["F6", "F5", "D4"] and nearest["next_moves"] == ["H2", "B8"]
    assert (query["winner"], query["margin"], query["row"]) == ("black", 3.0, None)
    assert (nearest["winner"], nearest["margin"], nearest["komi"]) == ("white", None, 7.0)
    assert nearest["players"] == {"black": "Mirror", "white": ""}
    assert (nearest["file"], nearest["entry"], nearest["ply"]) == ("games.sgf", 1, PLY)
    assert nearest["to_move"] == "black" and nearest["symmetry"] == LEFT_TO_RIGHT
