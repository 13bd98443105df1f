"""The rules: cases worked by hand, and random games beside sgfmill's board and pgx."""

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sgfmill.boards import Board as SgfmillBoard

from retrieve_rl.go.board import NEIGHBORS, Boards, Verdict
from retrieve_rl.go.points import BLACK, EMPTY, NO_MOVE, PASS, WHITE

COLORS = {"X": BLACK, "O": WHITE}
LETTERS = {BLACK: "b", WHITE: "w"}
ZERO = np.zeros(1, np.int64)


def point(name):
    """ "ca" -> 2: column c, row a, from the top left corner."""
    return (ord(name[1]) - ord("a")) * 9 + ord(name[0]) - ord("a")


def diagram(text, num_boards=1):
    """A board from rows of X, O and dots; missing rows and columns are empty."""
    boards = Boards(num_boards)
    stones = [
        (row * 9 + column, COLORS[mark])
        for row, line in enumerate(text.split())
        for column, mark in enumerate(line)
        if mark != "."
    ]
    points, colors = (np.array(part, np.int64) for part in zip(*stones, strict=True))
    for board in range(num_boards):
        boards.set_up(np.full(len(points), board), points, colors)
    return boards


def drawn(boards, board=0):
    """The rows of a board, without what is empty to the right and below."""
    rows = np.array([".", "X", "O"])[boards.stones[board].reshape(9, 9)]
    lines = ["".join(row).rstrip(".") or "." for row in rows]
    while lines and lines[-1] == ".":
        lines.pop()
    return " ".join(lines)


def play(boards, color, move, **options):
    move = PASS if move == "pass" else point(move)
    (verdict,) = boards.play(ZERO, np.array([move]), np.array([COLORS[color]]), **options)
    return Verdict(verdict)


def test_neighbors_end_at_the_edge():
    assert sorted(NEIGHBORS[0]) == [1, 9, 81, 81]
    assert sorted(NEIGHBORS[40]) == [31, 39, 41, 49]
    assert sorted(NEIGHBORS[80]) == [71, 79, 81, 81]


def test_a_stone_in_the_corner_is_captured():
    boards = diagram("O. X")
    assert play(boards, "X", "ba") == Verdict.LEGAL
    assert drawn(boards) == ".X X"
    assert boards.ko[0] == NO_MOVE


def test_a_chain_is_captured_whole_and_its_neighbors_breathe_again():
    boards = diagram(".XXO OXXO .OO")
    assert play(boards, "O", "aa") == Verdict.LEGAL
    assert drawn(boards) == "O..O O..O .OO"
    # White may fill all but one of the four points it gained, and Black none of the last.
    for move in ("ba", "ca", "bb"):
        assert play(boards, "O", move) == Verdict.LEGAL
    assert play(boards, "X", "cb") == Verdict.SUICIDE


def test_occupied_points_are_illegal_and_passing_never_is():
    boards = diagram("X")
    assert play(boards, "O", "aa") == Verdict.OCCUPIED
    for _ in range(4):
        assert play(boards, "O", "pass") == Verdict.LEGAL
    assert drawn(boards) == "X"


def test_suicide_of_one_stone_and_of_many_is_illegal():
    boards = diagram(".X X")
    assert play(boards, "O", "aa") == Verdict.SUICIDE
    boards = diagram("OO.X XXX")
    assert play(boards, "O", "ca") == Verdict.SUICIDE
    assert drawn(boards) == "OO.X XXX"
    assert play(boards, "X", "ca") == Verdict.LEGAL
    assert drawn(boards) == "..XX XXX"


def test_capturing_is_no_suicide():
    boards = diagram(".XO XO O")
    assert play(boards, "O", "aa") == Verdict.LEGAL
    assert drawn(boards) == "O.O .O O"
    assert boards.ko[0] == NO_MOVE  # two stones were taken


KO = ".XO. XO.O .XO."
KO_TAKEN = ".XO X.XO .XO"


def test_ko_forbids_the_point_for_one_move():
    boards = diagram(KO)
    assert play(boards, "X", "cb") == Verdict.LEGAL
    assert drawn(boards) == KO_TAKEN
    assert boards.ko[0] == point("bb")
    assert play(boards, "O", "bb") == Verdict.KO
    assert play(boards, "O", "bb", repetition_allowed=True) == Verdict.KO
    assert play(boards, "O", "ii") == Verdict.LEGAL
    assert boards.ko[0] == NO_MOVE
    assert play(boards, "X", "hh") == Verdict.LEGAL
    assert play(boards, "O", "bb") == Verdict.LEGAL
    assert boards.ko[0] == point("cb")


def test_passing_lifts_a_ko_but_not_superko():
    boards = diagram(KO)
    assert play(boards, "X", "cb") == Verdict.LEGAL
    assert play(boards, "O", "pass") == Verdict.LEGAL
    assert play(boards, "X", "pass") == Verdict.LEGAL
    assert boards.ko[0] == NO_MOVE
    assert play(boards, "O", "bb") == Verdict.SUPERKO
    assert drawn(boards) == KO_TAKEN
    assert play(boards, "O", "bb", repetition_allowed=True) == Verdict.SUPERKO
    assert drawn(boards) == ".XO XO.O .XO"


def test_snapback():
    boards = diagram("OX..O OXXXO OOOO")
    assert play(boards, "O", "ca") == Verdict.LEGAL
    assert play(boards, "X", "da") == Verdict.LEGAL
    assert drawn(boards) == "OX.XO OXXXO OOOO"
    assert boards.ko[0] == NO_MOVE  # one stone was taken, by a stone with friends
    assert play(boards, "O", "ca") == Verdict.LEGAL
    assert drawn(boards) == "O.O.O O...O OOOO"


def test_triple_ko_ends_in_superko():
    # Black may take in the two upper kos, White in the lowest; nobody retakes at once.
    boards = diagram(f"{KO} {KO} {KO_TAKEN}")
    for color, move in (("X", "cb"), ("O", "bh"), ("X", "ce"), ("O", "bb"), ("X", "ch")):
        assert play(boards, color, move) == Verdict.LEGAL
    assert play(boards, "O", "be") == Verdict.SUPERKO


def test_sending_two_returning_one_is_superko():
    boards = diagram(".X.X OOX")
    assert play(boards, "X", "aa") == Verdict.LEGAL
    assert play(boards, "O", "ca") == Verdict.LEGAL
    assert drawn(boards) == "..OX OOX"
    assert boards.ko[0] == NO_MOVE
    assert play(boards, "X", "ba") == Verdict.SUPERKO


def test_refilling_what_was_taken_is_superko():
    boards = diagram("XX.X OOX")
    assert play(boards, "O", "ca") == Verdict.LEGAL
    assert play(boards, "X", "ba") == Verdict.LEGAL
    assert play(boards, "O", "pass") == Verdict.LEGAL
    assert drawn(boards) == ".X.X OOX"
    assert play(boards, "X", "aa") == Verdict.SUPERKO  # captures nothing


def test_area_counts_stones_and_surrounded_points():
    boards = diagram("XXXXXXXXX ......... OOOOOOOOO")
    owners = boards.owners()[0].reshape(9, 9)
    assert (owners[0] == BLACK).all() and (owners[1] == EMPTY).all() and (owners[2:] == WHITE).all()
    assert boards.area_scores().tolist() == [9 - 63]
    assert Boards(2).area_scores().tolist() == [0, 0]


def test_a_seki_leaves_its_shared_liberties_to_nobody():
    # Whoever plays on ca or cb is captured.
    boards = diagram("XX.OOX XX.OOX OOOOOX XXXXXX")
    owners = boards.owners()[0]
    assert owners[point("ca")] == owners[point("cb")] == EMPTY
    assert owners[point("aa")] == BLACK and owners[point("ac")] == WHITE
    assert boards.area_scores().tolist() == [70 - 9]


def test_setup_without_liberties_is_noticed():
    boards = diagram("OX X", num_boards=3)
    boards.set_up(np.array([1]), np.array([point("ii")]), np.array([BLACK]))
    assert boards.without_liberties().all()
    assert not diagram("O. X").without_liberties().any()


@pytest.mark.parametrize("repetition_allowed", [False, True])
def test_a_board_plays_as_it_plays_alone_whatever_the_others_do(rng, repetition_allowed):
    num_boards, options = 20, {"repetition_allowed": repetition_allowed}
    together, alone = Boards(num_boards), [Boards(1) for _ in range(num_boards)]
    seen = set()
    for _ in range(100):
        rows = rng.permutation(num_boards)[: rng.integers(1, num_boards + 1)]
        moves, colors = rng.integers(0, PASS + 1, len(rows)), rng.integers(1, 3, len(rows))
        found = together.play(rows, moves, colors, **options)
        for at, row in enumerate(rows):
            (expected,) = alone[row].play(ZERO, moves[at : at + 1], colors[at : at + 1], **options)
            assert found[at] == expected
        assert together.stones.tobytes() == b"".join(board.stones.tobytes() for board in alone)
        assert together.ko.tolist() == [board.ko[0] for board in alone]
        seen.update(found)
    assert {Verdict.LEGAL, Verdict.OCCUPIED, Verdict.SUICIDE} <= seen


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120))
@example(seed=0, length=150)  # more positions than a board first has room to remember
def test_every_verdict_agrees_with_sgfmill(seed, length):
    rng, boards, referee, color = np.random.default_rng(seed), Boards(1), SgfmillBoard(9), BLACK
    past = {boards.stones.tobytes()}
    for _ in range(length):
        expected = [referee_verdict(referee, boards.ko[0], move, color, past) for move in range(81)]
        legal = boards.legal_moves(np.array([color]))[0]
        np.testing.assert_array_equal(legal[:81], np.array(expected) == Verdict.LEGAL)
        found = boards.verdicts(np.zeros(81, np.int64), np.arange(81), np.full(81, color))
        np.testing.assert_array_equal(found, expected)
        move = int(rng.choice(np.flatnonzero(legal)))
        assert boards.play(ZERO, np.array([move]), np.array([color]))[0] == Verdict.LEGAL
        ko = referee_plays(referee, move, color)
        assert boards.ko[0] == ko
        assert stones_of(referee) == boards.stones.tobytes()
        past.add(boards.stones.tobytes())
        assert boards.area_scores()[0] == referee.area_score()
        color = BLACK + WHITE - color


def test_random_games_agree_with_sgfmill():
    agrees_with_sgfmill(num_games=300, seed=0)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_random_games_agree_with_sgfmill():
    for seed in range(1, 11):
        agrees_with_sgfmill(num_games=1000, seed=seed)


def agrees_with_sgfmill(num_games, seed, length=150):
    """Random games, all played to the same length, compared move by move; no position recurs."""
    rng, boards = np.random.default_rng(seed), Boards(num_games)
    referees = [SgfmillBoard(9) for _ in range(num_games)]
    rows, color = np.arange(num_games), BLACK
    past = {(row, boards.stones[row].tobytes()) for row in rows}
    for _ in range(length):
        colors = np.full(num_games, color)
        moves = random_moves(rng, boards.legal_moves(colors))
        assert not boards.play(rows, moves, colors).any()
        kos = [
            referee_plays(*played, color) for played in zip(referees, moves.tolist(), strict=True)
        ]
        np.testing.assert_array_equal(boards.ko, kos)
        assert b"".join(map(stones_of, referees)) == boards.stones.tobytes()
        reached = {(row, boards.stones[row].tobytes()) for row in rows[moves != PASS]}
        assert not past & reached
        past |= reached
        color = BLACK + WHITE - color
    scores = [referee.area_score() for referee in referees]
    np.testing.assert_array_equal(boards.area_scores(), scores)


def test_random_games_agree_with_pgx():
    agrees_with_pgx(num_games=300, seed=0)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_random_games_agree_with_pgx():
    for seed in range(1, 11):
        agrees_with_pgx(num_games=1000, seed=seed)


@cache
def pgx_functions():
    """init and step, compiled once."""
    import jax
    from pgx.go import Go

    env = Go(size=9, komi=7.0)
    return jax.jit(jax.vmap(env.init)), jax.jit(jax.vmap(env.step))


def agrees_with_pgx(num_games, seed):
    """Random games beside pgx, but for three rules of its own: a repetition is played and loses
    at once, the game ends after 162 plies, and so it does after two passes."""
    import jax

    init, step = pgx_functions()
    rng, boards = np.random.default_rng(seed), Boards(num_games)
    state = init(jax.random.split(jax.random.key(seed), num_games))
    going, rows = np.ones(num_games, bool), np.arange(num_games)
    for ply in range(163):
        color = BLACK if ply % 2 == 0 else WHITE
        colors = np.full(num_games, color)
        mask = np.array(state.legal_action_mask)
        candidates = np.nonzero(boards.stones == EMPTY)
        verdicts = np.full((num_games, 81), Verdict.OCCUPIED)
        verdicts[candidates] = boards.verdicts(*candidates, colors[candidates[0]])
        allowed = (verdicts == Verdict.LEGAL) | (verdicts == Verdict.SUPERKO)
        np.testing.assert_array_equal(mask[going, :81], allowed[going])
        moves = np.where(going, random_moves(rng, np.where(going[:, None], mask, True)), PASS)
        found = boards.play(rows[going], moves[going], colors[going])
        state = step(state, moves)
        repeats = np.zeros(num_games, bool)
        repeats[going] = found == Verdict.SUPERKO
        ended = np.array(state.terminated)
        passed_twice = np.array(state._x.consecutive_pass_count) >= 2
        np.testing.assert_array_equal(ended[going], (repeats | passed_twice | (ply >= 161))[going])
        counted = going & ended & ~repeats
        black_wins = boards.area_scores() > 7
        black_player = np.where(ply % 2 == 0, 1 - state.current_player, state.current_player)
        rewards = np.array(state.rewards)[rows, black_player]
        np.testing.assert_array_equal(rewards[counted] > 0, black_wins[counted])
        loser = np.array(state.rewards)[rows, 1 - state.current_player]
        assert (loser[going & repeats] == -1).all()
        going &= ~ended
        stones = np.sign(np.array(state._x.board)) % 3
        np.testing.assert_array_equal(boards.stones[going], stones[going])
    assert not going.any()


def random_moves(rng, allowed):
    return np.argmax(rng.random(allowed.shape) * allowed, axis=1)


def stones_of(referee):
    numbers = {None: EMPTY, "b": BLACK, "w": WHITE}
    return bytes(numbers[stone] for row in reversed(referee.board) for stone in row)


def referee_plays(referee, move, color):
    """Plays on sgfmill's board, whose rows count from below; the point of ko or NO_MOVE."""
    if move == PASS:
        return NO_MOVE
    ko = referee.play(8 - move // 9, move % 9, LETTERS[color])
    return NO_MOVE if ko is None else (8 - ko[0]) * 9 + ko[1]


def referee_verdict(referee, ko, move, color, past):
    row, column = 8 - move // 9, move % 9
    if referee.get(row, column) is not None:
        return Verdict.OCCUPIED
    if move == ko:
        return Verdict.KO
    tried = referee.copy()
    tried.play(row, column, LETTERS[color])
    if tried.get(row, column) is None:
        return Verdict.SUICIDE
    return Verdict.SUPERKO if stones_of(tried) in past else Verdict.LEGAL
