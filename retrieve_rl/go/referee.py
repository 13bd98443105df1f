"""One game between two players, judged on our own board.

No player is trusted: moves are checked by the rules (positional superko included), the board is
counted here, by area, all stones taken as alive. Whoever passes before the dead are taken off has
said that they live.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from retrieve_rl.go.board import Boards, Verdict
from retrieve_rl.go.endings import Ending, Fault, Label, counted, failed
from retrieve_rl.go.points import BLACK, NUM_POINTS, PASS, WHITE, move_of, text_of

MAX_PLIES = 2 * NUM_POINTS
TWO_PASSES = bytes((PASS, PASS))
_ROW = np.zeros(1, np.int64)
_SHOWN = 60


class GameState(NamedTuple):
    """What a player is asked about.

    Attributes:
      game: number of the game, the same for all its positions and for no other game of a match.
      seed: for what a player draws in this game.
      komi: points given to White.
      moves: all so far, the opening's included; one byte each, `PASS` for a pass.
      to_move: BLACK or WHITE.
      stones: EMPTY, BLACK or WHITE for each point.
      ko: the point that simple ko forbids; NO_MOVE where none.
      legal: which moves the rules allow.
    """

    game: int
    seed: int
    komi: float
    moves: bytes
    to_move: int
    stones: UInt8[np.ndarray, "81"]
    ko: int
    legal: Bool[np.ndarray, "82"]

    @property
    def two_passes(self) -> bool:
        """Whether the last two moves are passes."""
        return self.moves.endswith(TWO_PASSES)


class Referee:
    """Watches one game from its opening to its ending.

    Attributes:
      moves: all so far; one byte each.
      ending: None while the game goes on.
    """

    def __init__(self, number: int, opening: bytes, *, komi: float, seed: int = 0) -> None:
        """Plays the opening, which begins with Black. Raises ValueError where it is illegal."""
        self.moves = b""
        self.ending: Ending | None = None
        self._number, self._komi, self._seed = number, komi, seed
        self._boards = Boards(1)
        for move in opening:
            verdict = self._play(move)
            if verdict is not Verdict.LEGAL or self.ending is not None:
                raise ValueError(f"{text_of(opening)} is no opening: {text_of(self.moves)} ends it")

    @property
    def to_move(self) -> int:
        """BLACK or WHITE."""
        return WHITE if len(self.moves) % 2 else BLACK

    def state(self) -> GameState:
        """The position; it does not change as the game goes on."""
        return GameState(
            game=self._number,
            seed=self._seed,
            komi=self._komi,
            moves=self.moves,
            to_move=self.to_move,
            stones=self._boards.stones[0].copy(),
            ko=int(self._boards.ko[0]),
            legal=self._boards.legal_moves(np.array([self.to_move]))[0],
        )

    def hear(self, answer: str | Fault) -> None:
        """Takes the answer of the player to move: a vertex is played, all else ends the game.

        Args:
          answer: a vertex of the Go Text Protocol, "pass" or "resign" among them, or why none came.
        """
        if isinstance(answer, Fault):
            self.ending = failed(answer, self.to_move)
        elif answer.strip().lower() == "resign":
            self.ending = failed(Fault(Label.RESIGN, ""), self.to_move)
        else:
            self._hear_move(answer)

    def _hear_move(self, vertex: str) -> None:
        shown = vertex if len(vertex) <= _SHOWN else f"{vertex[:_SHOWN]}..."
        try:
            move = move_of(vertex)
        except ValueError:
            self.ending = failed(Fault(Label.ILLEGAL, f"{shown!r} is no move"), self.to_move)
            return
        verdict = self._play(move)
        if verdict is not Verdict.LEGAL:
            fault = Fault(Label.ILLEGAL, f"{shown}: {verdict.name.lower()}")
            self.ending = failed(fault, self.to_move)

    def _play(self, move: int) -> Verdict:
        moves, colors = np.array([move]), np.array([self.to_move])
        verdict = Verdict(self._boards.play(_ROW, moves, colors)[0])
        if verdict is Verdict.LEGAL:
            self.moves += bytes((move,))
            if self.moves.endswith(TWO_PASSES):
                self.ending = counted(Label.SCORE, self._margin())
            elif len(self.moves) >= MAX_PLIES:
                self.ending = counted(Label.CAP, self._margin())
        return verdict

    def _margin(self) -> float:
        return float(self._boards.area_scores()[0]) - self._komi
