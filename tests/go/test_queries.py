"""The position that asks: of the store, or of a file of one game."""

import numpy as np
import pytest

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.go.digests import game_digest
from retrieve_rl.go.points import BLACK, NO_MOVE, PASS, WHITE, vertex_of
from retrieve_rl.go.queries import query_of_game, query_of_row
from retrieve_rl.go.sgf import parse_game

HEADER = "SZ[9]KM[6.5]RE[W+2.5]PB[Ann]PW[Bob]"


@pytest.fixture
def sgf(tmp_path):
    """sgf(body, header): the path of such a game."""

    def make(body=";B[cc];W[gg];B[];W[ia]", header=HEADER, name="mine.sgf"):
        path = tmp_path / name
        path.write_text(f"(;{header}{body})")
        return path

    return make


def test_the_vertices_of_the_go_text_protocol():
    corners = [vertex_of(point) for point in (0, 8, 72, 80)]
    assert corners == ["A9", "J9", "A1", "J1"]
    assert vertex_of(40) == "E5" and vertex_of(7) == "H9" and vertex_of(PASS) == "pass"


def test_a_position_inside_a_game(sgf):
    query = query_of_game(sgf(), 2)
    diagram = query.diagram
    assert np.flatnonzero(diagram.stones).tolist() == [20, 60]
    assert diagram.stones[[20, 60]].tolist() == [BLACK, WHITE]
    assert (diagram.to_move, diagram.ply, diagram.row) == (BLACK, 2, None)
    assert diagram.next_moves == (PASS, 8)
    assert query.positions.last_moves.tolist() == [60]
    record = diagram.record
    assert (record.file, record.players) == ("mine.sgf", ("Ann", "Bob"))
    assert (record.winner, record.margin, record.komi) == ("white", -2.5, 6.5)


def test_the_first_position_and_the_last(sgf):
    first = query_of_game(sgf(), 0).diagram
    assert not first.stones.any() and first.next_moves == (20, 60, PASS, 8)
    last = query_of_game(sgf(), 4)
    assert last.diagram.next_moves == () and (last.positions.next_moves == NO_MOVE).all()
    assert np.flatnonzero(last.diagram.stones).tolist() == [8, 20, 60]
    assert last.diagram.to_move == BLACK and last.positions.last_moves.tolist() == [8]
    assert last.digest == game_digest(parse_game(sgf().read_bytes()))
    with pytest.raises(UsageError, match="no ply 5: its plies are 0 to 4"):
        query_of_game(sgf(), 5)
    with pytest.raises(UsageError, match="no ply -1"):
        query_of_game(sgf(), -1)


def test_a_game_that_is_being_played(sgf):
    query = query_of_game(sgf(header="SZ[9]KM[7]AB[aa][bb]", body=";W[cc]"), 1)
    record = query.diagram.record
    assert (record.winner, record.margin, record.players) == (None, None, ("", ""))
    assert query.diagram.to_move == BLACK and query.diagram.stones.sum() == 2 * BLACK + WHITE
    before_any_move = query_of_game(sgf(header="SZ[9]KM[7]", body=""), 0)
    assert before_any_move.diagram.next_moves == ()


@pytest.mark.parametrize(
    "text, message",
    [
        ("(;SZ[19]KM[7];B[aa])", r"another board size\): expected a legal game of 9x9 Go"),
        ("(;KM[7];B[aa])", "another board size"),
        ("(;SZ[9]KM[7];B[aa];W[aa])", "illegal move: occupied point"),
        ("(;SZ[9]KM[7];B[aa];B[bb])", "a player moves twice in a row"),
        ("(;SZ[9];B[aa])", r"records no komi: write one .* KM\[7\]"),
        ("(;SZ[9]KM[7];B[aa", "broken text"),
        ("(;SZ[9]KM[7];B[aa])(;SZ[9]KM[7];B[bb])", "holds more than one game"),
        ("hello", "holds no game"),
        ("", "holds no game"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "bad.sgf"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as refused:
        query_of_game(path, 0)
    assert str(path) in str(refused.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        query_of_game(tmp_path / "none.sgf", 0)
    (tmp_path / "game.txt").write_text("(;SZ[9]KM[7];B[aa])")
    with pytest.raises(DataError, match="expected .sgf"):
        query_of_game(tmp_path / "game.txt", 0)
    (tmp_path / "torn.sgf.gz").write_bytes(b"\x1f\x8b torn")
    with pytest.raises(DataError, match="cannot be read"):
        query_of_game(tmp_path / "torn.sgf.gz", 0)


def test_a_row_of_the_store(go_data):
    store = go_data.store
    query = query_of_row(store, 57)
    game = store.positions.games[57]
    assert query.digest == bytes(store.games.digests[game])
    assert query.diagram.row == 57 and query.diagram.ply == store.positions.plies[57]
    assert query.diagram.record.file == "games.sgf"
    assert query.diagram.record.entry == store.games.entries[game]
    last = store.positions.num_positions - 1
    for row in (-1, last + 1):
        with pytest.raises(UsageError, match=f"no row {row}: the store has rows 0 to {last}"):
            query_of_row(store, row)


def test_a_row_and_its_record_ask_the_same(go_config, go_data, tmp_path, random_sgf):
    path = tmp_path / "again.sgf"
    path.write_bytes(random_sgf(11))
    by_record = query_of_game(path, 30)
    digests = go_data.store.games.digests
    (game,) = np.flatnonzero((digests == np.frombuffer(by_record.digest, np.uint8)).all(axis=1))
    positions = go_data.store.positions
    (row,) = np.flatnonzero((positions.games == game) & (positions.plies == 30))
    by_row = query_of_row(go_data.store, row)
    assert by_row.digest == by_record.digest
    for name, column in by_row.positions._asdict().items():
        if name != "games":
            np.testing.assert_array_equal(column, getattr(by_record.positions, name), err_msg=name)
