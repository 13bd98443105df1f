"""The rules on many 9x9 boards at once: captures, simple ko, positional superko, area score.

Suicide is illegal; passing is always legal and never repeats a position. Every board keeps its
chains with a count of pseudo-liberties: pairs of a stone of the chain and an empty point beside it,
so that an empty point counts once for each stone that touches it. A chain is captured when the
count is zero, and its last liberty is the point whose touching stones account for the whole count.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int8, Integer, UInt8

from retrieve_rl.go.points import (
    BLACK,
    EMPTY,
    NO_MOVE,
    NUM_MOVES,
    NUM_POINTS,
    PASS,
    SIZE,
    WHITE,
)

_WALL = NUM_POINTS
_WALL_COLOR = 3
# Columns of the tables of chains that nobody reads: the neighbors of a point can then be looked up
# without asking first whether a stone is there.
_WALL_CHAIN, _EMPTY_CHAIN = NUM_POINTS, NUM_POINTS + 1


def _neighbors() -> np.ndarray:
    grid = np.full((SIZE + 2, SIZE + 2), _WALL)
    grid[1:-1, 1:-1] = np.arange(NUM_POINTS).reshape(SIZE, SIZE)
    around = (grid[:-2, 1:-1], grid[2:, 1:-1], grid[1:-1, :-2], grid[1:-1, 2:])
    return np.stack([part.ravel() for part in around], axis=1)


NEIGHBORS = _neighbors()
"""[81, 4]: the points above, below, left and right; 81 beyond the edge."""

# Positions are compared by 64 bits: a false repetition is expected once in 10^11 such games.
_ZOBRIST = np.random.default_rng(9).integers(1, 2**64, (3, NUM_POINTS), dtype=np.uint64)


class Verdict(IntEnum):
    """What the rules say of a move."""

    LEGAL = 0
    OCCUPIED = 1
    KO = 2
    SUICIDE = 3
    SUPERKO = 4


class _Around(NamedTuple):
    """The four neighbors of M points, each [4, M], for NumPy is slow along a short last axis."""

    points: np.ndarray
    colors: np.ndarray
    chains: np.ndarray


def owners_of(stones: UInt8[np.ndarray, "G 81"]) -> UInt8[np.ndarray, "G 81"]:
    """The color that owns each point by area, all stones taken as alive; EMPTY for neither."""
    empty = (stones == EMPTY).reshape(-1, SIZE, SIZE)
    reached = []
    for color in (BLACK, WHITE):
        framed = np.zeros((len(stones), SIZE + 2, SIZE + 2), bool)
        spread = framed[:, 1:-1, 1:-1]
        spread[:] = (stones == color).reshape(empty.shape)
        while True:
            beside = framed[:, :-2, 1:-1] | framed[:, 2:, 1:-1]
            beside |= framed[:, 1:-1, :-2] | framed[:, 1:-1, 2:]
            wider = spread | (beside & empty)
            if (wider == spread).all():
                break
            spread[:] = wider
        reached.append(spread.reshape(-1, NUM_POINTS))
    black, white = reached
    return (BLACK * (black & ~white) + WHITE * (white & ~black)).astype(np.uint8)


def area_scores_of(stones: UInt8[np.ndarray, "G 81"]) -> Int8[np.ndarray, " G"]:
    """Black's points minus White's by area, all stones taken as alive, without komi."""
    return points_ahead(owners_of(stones))


def points_ahead(owners: UInt8[np.ndarray, "G 81"]) -> Int8[np.ndarray, " G"]:
    """How many more of the points Black owns than White."""
    return ((owners == BLACK).sum(axis=1) - (owners == WHITE).sum(axis=1)).astype(np.int8)


class Boards:
    """G boards, played on in place.

    Attributes:
      stones: [G, 81] uint8, EMPTY, BLACK or WHITE.
      ko: [G] uint8, the point that simple ko forbids to the next player; NO_MOVE where none.
    """

    def __init__(self, num_boards: int) -> None:
        """Empty boards."""
        self._colors = np.zeros((num_boards, NUM_POINTS + 1), np.uint8)
        self._colors[:, _WALL] = _WALL_COLOR
        self._chains = np.full((num_boards, NUM_POINTS + 1), _EMPTY_CHAIN, np.uint8)
        self._chains[:, _WALL] = _WALL_CHAIN
        self._liberties = np.zeros((num_boards, NUM_POINTS + 2), np.int16)
        self._chain_hashes = np.zeros((num_boards, NUM_POINTS), np.uint64)
        self._hashes = np.zeros(num_boards, np.uint64)
        # Unused places repeat the first position, which is in the past of every board.
        self._past = np.zeros((num_boards, 64), np.uint64)
        self._num_past = np.ones(num_boards, np.int64)
        self.ko = np.full(num_boards, NO_MOVE, np.uint8)

    @property
    def stones(self) -> UInt8[np.ndarray, "G 81"]:
        return self._colors[:, :NUM_POINTS]

    def set_up(
        self,
        rows: Int[np.ndarray, " M"],
        points: Integer[np.ndarray, " M"],
        colors: Integer[np.ndarray, " M"],
    ) -> None:
        """Puts stones on empty points of boards that have not been played on; captures nothing."""
        round_number = np.zeros(len(rows), np.int64)
        order = np.argsort(rows, kind="stable")
        starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
        lengths = np.diff(np.append(starts, len(rows)))
        round_number[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
        # A board appears once in every round: `_add` takes distinct boards.
        for number in range(int(lengths.max(initial=0))):
            chosen = round_number == number
            around = self._around(rows[chosen], points[chosen])
            self._add(rows[chosen], points[chosen], colors[chosen], around)
        self._past[rows] = self._hashes[rows, None]

    def without_liberties(self) -> Bool[np.ndarray, " G"]:
        """Boards with a chain that has no liberty, which only `set_up` can make."""
        counts = np.take_along_axis(self._liberties, self._chains[:, :NUM_POINTS].astype(int), 1)
        return ((counts <= 0) & (self.stones != EMPTY)).any(axis=1)

    def verdicts(
        self,
        rows: Int[np.ndarray, " M"],
        moves: Integer[np.ndarray, " M"],
        colors: Integer[np.ndarray, " M"],
    ) -> UInt8[np.ndarray, " M"]:
        """The `Verdict` on each move, nothing played; a board may appear any number of times."""
        found = np.full(len(rows), Verdict.LEGAL, np.uint8)
        placing = np.flatnonzero(moves != PASS)
        rows, points, colors = rows[placing], moves[placing], colors[placing]
        found[placing] = self._judge(rows, points, colors, self._around(rows, points))[0]
        return found

    def legal_moves(self, to_move: Integer[np.ndarray, " G"]) -> Bool[np.ndarray, "G 82"]:
        """Which moves the rules allow on every board; passing always."""
        legal = np.zeros((len(to_move), NUM_MOVES), bool)
        legal[:, PASS] = True
        rows, points = np.nonzero(self.stones == EMPTY)
        legal[rows, points] = self.verdicts(rows, points, to_move[rows]) == Verdict.LEGAL
        return legal

    def play(
        self,
        rows: Int[np.ndarray, " M"],
        moves: Integer[np.ndarray, " M"],
        colors: Integer[np.ndarray, " M"],
        *,
        repetition_allowed: bool = False,
    ) -> UInt8[np.ndarray, " M"]:
        """Plays one move on each of some distinct boards; an illegal move changes nothing.

        Args:
          repetition_allowed: play moves that only superko forbids, too; simple ko stays forbidden.

        Returns:
          The `Verdict` on each move.
        """
        found = np.full(len(rows), Verdict.LEGAL, np.uint8)
        self.ko[rows[moves == PASS]] = NO_MOVE
        placing = np.flatnonzero(moves != PASS)
        rows, points, colors = rows[placing], moves[placing], colors[placing]
        around = self._around(rows, points)
        judged, hashes, captured = self._judge(rows, points, colors, around)
        found[placing] = judged
        played = judged == Verdict.LEGAL
        if repetition_allowed:
            played |= judged == Verdict.SUPERKO
        if not played.all():
            rows, points, colors, hashes = (part[played] for part in (rows, points, colors, hashes))
            around, captured = self._around(rows, points), captured[:, played]
        alone = self._add(rows, points, colors, around)
        taken = np.zeros(len(rows), np.int64)
        one_taken = np.full(len(rows), NO_MOVE)  # a stone alone gives its chain its name
        for direction in range(4):
            chosen = np.flatnonzero(captured[direction])
            chains = around.chains[direction, chosen]
            taken[chosen] += self._remove(rows[chosen], chains)
            one_taken[chosen] = chains
        self.ko[rows] = np.where(alone & (taken == 1), one_taken, NO_MOVE)
        self._remember(rows, hashes)
        return found

    def owners(self) -> UInt8[np.ndarray, "G 81"]:
        """As `owners_of` the stones."""
        return owners_of(self.stones)

    def area_scores(self) -> Int8[np.ndarray, " G"]:
        """As `area_scores_of` the stones."""
        return area_scores_of(self.stones)

    def _around(self, rows: np.ndarray, points: np.ndarray) -> _Around:
        near = NEIGHBORS.T.take(points, axis=1)
        return _Around(near, self._colors[rows, near], self._chains[rows, near])

    def _judge(
        self, rows: np.ndarray, points: np.ndarray, colors: np.ndarray, around: _Around
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Verdicts [M], hashes after the move [M], and over the four neighbors [4, M] whether the
        move captures the chain there, each chain named once."""
        first, touching = _chains_once(around.chains)
        in_atari = self._liberties[rows, around.chains] == touching
        own = around.colors == colors
        captured = (around.colors == BLACK + WHITE - colors) & in_atari
        breathes = (around.colors == EMPTY) | captured | (own & ~in_atari)

        captured &= first
        hashes = self._hashes[rows] ^ _ZOBRIST[colors, points]
        for direction in range(4):
            chosen = np.flatnonzero(captured[direction])
            hashes[chosen] ^= self._chain_hashes[rows[chosen], around.chains[direction, chosen]]
        used = self._num_past.max(initial=0)
        # Also without a capture: a stone may refill what was taken some moves before.
        repeats = (self._past[rows, :used] == hashes[:, None]).any(axis=1)

        verdicts = np.full(len(rows), Verdict.LEGAL, np.uint8)
        verdicts[repeats] = Verdict.SUPERKO
        verdicts[~breathes.any(axis=0)] = Verdict.SUICIDE
        verdicts[points == self.ko[rows]] = Verdict.KO
        verdicts[self._colors[rows, points] != EMPTY] = Verdict.OCCUPIED
        return verdicts, hashes, captured

    def _add(
        self, rows: np.ndarray, points: np.ndarray, colors: np.ndarray, around: _Around
    ) -> np.ndarray:
        """Puts stones on empty points and joins their chains; True where the stone stands alone,
        with neither a liberty nor a friend."""
        empty, own = around.colors == EMPTY, around.colors == colors
        self._colors[rows, points] = colors
        # A chain is named by one of its points; the name of an empty point is free.
        self._chains[rows, points] = points
        for direction in range(4):
            self._liberties[rows, around.chains[direction]] -= 1
        self._liberties[rows, points] = empty.sum(axis=0)
        self._chain_hashes[rows, points] = _ZOBRIST[colors, points]
        self._hashes[rows] ^= _ZOBRIST[colors, points]
        for direction in range(4):
            friends = np.flatnonzero(own[direction])
            joined = self._chains[rows[friends], around.points[direction, friends]]
            apart = joined != points[friends]
            self._join(rows[friends][apart], points[friends][apart], joined[apart])
        return ~(own | empty).any(axis=0)

    def _join(self, rows: np.ndarray, chains: np.ndarray, others: np.ndarray) -> None:
        self._liberties[rows, chains] += self._liberties[rows, others]
        self._chain_hashes[rows, chains] ^= self._chain_hashes[rows, others]
        named = self._chains[rows]
        names = chains.astype(np.uint8)[:, None]
        self._chains[rows] = np.where(named == others[:, None], names, named)

    def _remove(self, rows: np.ndarray, chains: np.ndarray) -> np.ndarray:
        """Takes a chain off each of some distinct boards; their sizes [M]."""
        which, points = np.nonzero(self._chains[rows, :NUM_POINTS] == chains[:, None])
        boards = rows[which]
        self._colors[boards, points] = EMPTY
        self._chains[boards, points] = _EMPTY_CHAIN
        for direction in range(4):
            near = self._chains[boards, NEIGHBORS[points, direction]]
            # In the type of the table: to convert the 1 takes most of the time.
            np.add.at(self._liberties, (boards, near), np.int16(1))
        self._hashes[rows] ^= self._chain_hashes[rows, chains]
        return np.bincount(which, minlength=len(rows))

    def _remember(self, rows: np.ndarray, hashes: np.ndarray) -> None:
        if len(rows) == 0:
            return
        if self._num_past[rows].max() == self._past.shape[1]:
            self._past = np.concatenate([self._past, np.repeat(self._past[:, :1], 64, 1)], axis=1)
        self._past[rows, self._num_past[rows]] = hashes
        self._num_past[rows] += 1


def _chains_once(near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the chains [4, M] beside a point: whether each is named for the first time, and how often
    it is named."""
    first, times = np.ones(near.shape, bool), np.ones(near.shape, np.int16)
    for later in range(1, len(near)):
        for earlier in range(later):
            same = near[later] == near[earlier]
            first[later] &= ~same
            times[later] += same
            times[earlier] += same
    return first, times
