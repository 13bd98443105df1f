"""Openings: read, found in records, distinct up to symmetry, split so that the parts never meet."""

import numpy as np
import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.go.digests import position_digest
from retrieve_rl.go.openings import (
    DEFAULT_PLIES,
    common_openings,
    default_openings,
    read_openings,
    split_openings,
)
from retrieve_rl.go.points import BLACK, WHITE, moves_of, text_of
from retrieve_rl.go.referee import Referee
from retrieve_rl.go.sgf import game_of_moves
from retrieve_rl.go.symmetries import NUM_SYMMETRIES, turn_boards, turn_moves


def turned(opening, symmetry):
    return bytes(turn_moves(np.frombuffer(opening, np.uint8), symmetry))


def digest(opening):
    state = Referee(0, opening, komi=7.0).state()
    return position_digest(state.stones, state.to_move)


@pytest.fixture(scope="module")
def default():
    return default_openings()


def test_a_position_and_its_images_share_a_digest(rng):
    stones = rng.integers(0, 3, 81).astype(np.uint8)
    images = [turn_boards(stones, symmetry) for symmetry in range(NUM_SYMMETRIES)]
    assert len({position_digest(image, BLACK) for image in images}) == 1
    assert position_digest(stones, WHITE) != position_digest(stones, BLACK)
    other = stones.copy()
    other[0] = (other[0] + 1) % 3
    assert position_digest(other, BLACK) != position_digest(stones, BLACK)


def test_a_text_file_of_openings(tmp_path):
    path = tmp_path / "openings.txt"
    path.write_text("# ours\nE5 C3\n\ne5 g3  # a mirror image\nE5 C4\nE5 C3 G7 F3\nG7 F3 E5 C3\n")
    # The last reaches the board of the one before by another way.
    assert [text_of(one) for one in read_openings(path)] == ["E5 C3", "E5 C4", "E5 C3 G7 F3"]


@pytest.mark.parametrize(
    "text, story",
    [
        ("E5 C3\nE5 Z3", "line 2: 'Z3' is no move"),
        ("E5 E5", "line 1 is no opening: illegal move: occupied"),
        ("E5 pass", "line 1 is no opening: expected 1 to 40 moves and no pass"),
        ("E5\nB9 A8 D9 B8 C8 J1 A9 C9 B9", "line 2 is no opening: it repeats a position"),
        ("# nothing", "holds no opening"),
        ("Ε5", "cannot be read"),
    ],
)
def test_what_is_no_opening_is_refused(tmp_path, text, story):
    path = tmp_path / "openings.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=story):
        read_openings(path)
    with pytest.raises(DataError):
        read_openings(tmp_path / "none.txt")


def test_openings_from_game_records(tmp_path):
    path = tmp_path / "openings.sgf"
    path.write_text("(;SZ[9];B[ee];W[cc])(;SZ[9];B[ee];W[gc])(;SZ[9];B[cc])")
    assert [text_of(one) for one in read_openings(path)] == ["E5 C7", "C7"]
    for game in ("(;SZ[9]AB[aa];W[ee])", "(;SZ[9];W[ee])", "(;SZ[19];B[aa])", "(;SZ[9])"):
        path.write_text(game)
        with pytest.raises(DataError, match="openings.sgf, game 0 of openings.sgf"):
            read_openings(path)


def test_common_openings_are_counted_up_to_symmetry():
    texts = ["E5 C3 G7", "E5 C7 G3", "E5 C3 G7 A1", "C3 E5 G7", "E5 G7", "E5 D4 A1", "D4 E5 A1"]
    games = [game_of_moves(moves_of(text)) for text in texts]
    assert [text_of(one) for one in common_openings(games, plies=3, at_least=2)] == ["E5 C3 G7"]
    assert len(common_openings(games, plies=3, at_least=1)) == 4
    assert [text_of(one) for one in common_openings(games, plies=2, at_least=1)][:1] == ["E5 C3"]
    assert common_openings(games[::-1], plies=3, at_least=1) == common_openings(
        games, plies=3, at_least=1
    )
    assert common_openings(games, plies=5, at_least=1) == ()


def test_the_default_openings(default):
    assert len(default) == 447 and {len(opening) for opening in default} == {DEFAULT_PLIES}
    assert len({digest(opening) for opening in default}) == len(default)
    assert all(opening.startswith(moves_of("E5")) for opening in default[:3])


def test_the_two_sets_never_meet(default):
    adding, scoring = split_openings(default)
    assert len(adding.openings) + len(scoring.openings) == len(default)
    assert len(adding.openings) > 200 and len(scoring.openings) > 200
    in_adding = {digest(turned(one, 5)) for one in adding.openings}
    assert not in_adding & {digest(one) for one in scoring.openings}
    assert adding.first_seed - scoring.first_seed >= 1_000_000
    # An image of an opening, and the same one in a shorter list, fall on the same side.
    some = [turned(one, 3) for one in default[::7]]
    again, _ = split_openings(some)
    assert {digest(one) for one in again.openings} <= in_adding
    with pytest.raises(DataError, match="1 openings cannot be split"):
        split_openings(default[:1])
