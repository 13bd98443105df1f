"""Rows of positions and games: a game worked by hand, and the bundled ones beside sgfmill."""

import hashlib

import numpy as np
import pytest
from sgfmill.boards import Board as SgfmillBoard

from retrieve_rl.go.archives import game_texts
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.digests import game_digest
from retrieve_rl.go.points import BLACK, EMPTY, NO_MOVE, PASS, WHITE, unpack_boards
from retrieve_rl.go.positions import positions_of
from retrieve_rl.go.replay import replay
from retrieve_rl.go.sgf import Reason, parse_game
from retrieve_rl.go.symmetries import IMAGES

LETTERS = "abcdefghi"


def game(body, header="SZ[9]KM[7]RE[B+3]"):
    return parse_game(f"(;{header}{body})".encode())


def rows(*games):
    played = replay(games)
    return played, positions_of(played, np.arange(len(played.moves)))


def test_a_game_worked_by_hand():
    played, table = rows(game(";W[cb];B[]", "SZ[9]AB[aa][bb]"), game(";B[aa];W[];B[ii]"))
    assert table.plies.tolist() == [0, 1, 0, 1, 2]
    assert table.games.tolist() == [0, 0, 1, 1, 1]
    assert table.to_move.tolist() == [WHITE, BLACK, BLACK, WHITE, BLACK]
    assert table.last_moves.tolist() == [NO_MOVE, 11, NO_MOVE, 0, PASS]
    assert table.next_moves[:, :3].tolist() == [
        [11, PASS, NO_MOVE],
        [PASS, NO_MOVE, NO_MOVE],
        [0, PASS, 80],
        [PASS, 80, NO_MOVE],
        [80, NO_MOVE, NO_MOVE],
    ]
    assert (table.next_moves[:, 3:] == NO_MOVE).all()
    boards = unpack_boards(table.boards)
    assert np.flatnonzero(boards[0]).tolist() == [0, 10]
    assert boards[1, [0, 10, 11]].tolist() == [BLACK, BLACK, WHITE]
    assert (boards[2] == EMPTY).all() and np.flatnonzero(boards[4]).tolist() == [0]
    assert np.flatnonzero(unpack_boards(played.final_boards)[1]).tolist() == [0, 80]
    assert played.area_scores.tolist() == [1, 81]
    assert sum(column.nbytes for column in table) == 40 * 5


def test_the_ko_point_is_kept():
    setup = "SZ[9]AB[ba][ab][bc]AW[ca][db][cc][bb]PL[B]"
    _, table = rows(game(";B[cb];W[ii];B[hh];W[bb]", setup))
    assert table.ko.tolist() == [NO_MOVE, 10, NO_MOVE, NO_MOVE]


def test_illegal_games_are_told_by_their_reason():
    ko = "SZ[9]AB[ba][ab][bc]AW[ca][db][cc][bb]"
    played = replay(
        [
            game(";B[aa];W[aa]"),
            game(";B[cb];W[bb]", ko),
            game(";W[aa]", "SZ[9]AB[ab][ba]"),
            game(";W[ii]", "SZ[9]AB[ab][ba]AW[aa]"),
            game(";B[aa];W[bb]"),
        ]
    )
    expected = [Reason.OCCUPIED, Reason.KO, Reason.SUICIDE, Reason.BAD_SETUP, None]
    assert played.faults == expected


def test_a_repetition_is_played_and_marked():
    ko = "SZ[9]AB[ba][ab][bc]AW[ca][db][cc][bb]"
    played = replay([game(";B[cb];W[];B[];W[bb];B[aa]", ko), game(";B[cb];W[]", ko)])
    assert played.faults == [None, None] and played.repeats.tolist() == [True, False]


def test_no_games_make_no_rows():
    played = replay([])
    assert len(played.moves) == 0 and played.final_boards.shape == (0, 21)
    assert positions_of(played, np.zeros(0, int)).num_positions == 0


def test_digests_see_through_symmetries_and_nothing_else(random_sgf):
    text = random_sgf(3)
    first = parse_game(text)
    images = {game_digest(parse_game(turned(text, symmetry))) for symmetry in range(8)}
    assert images == {game_digest(first)}
    assert game_digest(parse_game(text.replace(b"KM[7]", b"KM[5]PB[x]"))) == game_digest(first)
    different = [
        game(";B[aa];W[bb]"),
        game(";B[aa];W[bb];B[]"),
        game(";B[aa];W[cc]"),
        game(";W[aa];B[bb]"),
        game(";B[aa];W[bb]", "SZ[9]AB[ee]"),
        game(";B[aa];W[bb]", "SZ[9]AW[ee]"),
    ]
    assert len(set(map(game_digest, different))) == len(different)
    setups = [game(";W[aa]", "SZ[9]AB[bc][ee]"), game(";W[aa]", "SZ[9]AB[ee][cb]")]
    assert game_digest(setups[0]) == game_digest(setups[1])


@pytest.mark.parametrize("setup", ["", "AB[bc][aa]", "AW[ee]", "AB[ie][ee]AW[ai][ia]"])
def test_a_digest_is_of_the_least_image_of_setup_and_moves(setup):
    record = game(";W[ca];B[]", f"SZ[9]{setup}")
    images = [
        (sorted(turn[list(record.black)]), sorted(turn[list(record.white)]), turn[[2, PASS]])
        for turn in IMAGES
    ]
    canonical = bytes([WHITE]) + min(b"\xfe".join(map(bytes, parts)) for parts in images)
    assert game_digest(record) == hashlib.blake2b(canonical, digest_size=16).digest()


def turned(text, symmetry):
    """The SGF with every move at its image."""
    for move in range(81):
        name = LETTERS[move % 9] + LETTERS[move // 9]
        image = int(IMAGES[symmetry, move])
        text = text.replace(
            f"[{name}]".encode(), f"[{LETTERS[image % 9]}{LETTERS[image // 9]}!]".encode()
        )
    return text.replace(b"!", b"")


def test_every_bundled_position_agrees_with_sgfmill(bundled):
    boards = unpack_boards(bundled.positions.boards)
    first_rows = np.searchsorted(bundled.positions.games, np.arange(len(bundled.games) + 1))
    for number, text in enumerate(game_texts(bundled_records().path)):
        agrees_with_sgfmill(parse_game(text.text), boards[first_rows[number] :], bundled, number)


def agrees_with_sgfmill(record, boards, records, number):
    referee = SgfmillBoard(9)
    for ply, move in enumerate(record.moves):
        assert boards[ply].tobytes() == stones_of(referee)
        if move != PASS:
            referee.play(8 - move // 9, move % 9, "bw"[ply % 2])
    final = unpack_boards(records.games.final_boards[number])
    assert final.tobytes() == stones_of(referee)
    assert records.games.area_scores[number] == referee.area_score()


def stones_of(referee):
    numbers = {None: EMPTY, "b": BLACK, "w": WHITE}
    return bytes(numbers[stone] for row in reversed(referee.board) for stone in row)
