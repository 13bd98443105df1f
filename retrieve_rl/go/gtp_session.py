"""A player as an engine of the Go Text Protocol, version 2: a line in, an answer out.

A refused command answers `?` and changes nothing; nothing that is sent ends the session but `quit`.
Reference: G. Farnebaeck, "Specification of the Go Text Protocol, version 2, draft 2", 2002.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, TextIO

import numpy as np

from retrieve_rl.go.board import Boards, Verdict, area_scores_of
from retrieve_rl.go.endings import Fault
from retrieve_rl.go.player import Player
from retrieve_rl.go.points import BLACK, COLUMN_LETTERS, NO_MOVE, SIZE, WHITE, move_of
from retrieve_rl.go.referee import GameState

_COLORS = {"b": BLACK, "black": BLACK, "w": WHITE, "white": WHITE}
_STONES = ".XO"
_ROW = np.zeros(1, np.int64)
_NOT_TEXT = {code: None for code in (*range(9), *range(10, 32), 127)} | {9: " "}


class GtpSession:
    """One board of 9x9 and a player who is asked for moves on it.

    Moves that repeat a position are never generated, but accepted: who controls the game judges
    them by its own rules. Time limits are accepted and not looked at: the player takes as long for
    every move.

    Attributes:
      ended: True after `quit`.
    """

    def __init__(
        self, player: Player, *, version: str, komi: float, heard: Callable[[], str]
    ) -> None:
        """Args:
        komi: until the controller sets one.
        heard: the answer of `rrl-neighbors`: what the last move generated was based on.
        """
        self.ended = False
        self._begun = 0
        self._player, self._version, self._komi, self._heard = player, version, komi, heard
        self._commands: dict[str, Callable[[Sequence[str]], str]] = {
            "protocol_version": lambda words: "2",
            "name": lambda words: "retrieve_rl",
            "version": lambda words: self._version,
            "known_command": lambda words: str(_one(words) in self._commands).lower(),
            "list_commands": lambda words: "\n".join(self._commands),
            "quit": self._quit,
            "boardsize": self._boardsize,
            "clear_board": self._begin,
            "komi": self._set_komi,
            "play": self._play,
            "genmove": self._genmove,
            "undo": self._undo,
            "time_settings": lambda words: "",
            "time_left": lambda words: "",
            "final_score": self._final_score,
            "showboard": self._showboard,
            "rrl-neighbors": lambda words: self._heard(),
        }
        self._begin(())

    def answer(self, line: str) -> str | None:
        """What is sent back for a line, its empty line included; None for what is no command."""
        words = line.translate(_NOT_TEXT).partition("#")[0].split()
        number = words.pop(0) if words and words[0].isdecimal() else ""
        if not words:
            return None if not number else f"?{number} syntax error\n\n"
        name, *arguments = words
        try:
            if name not in self._commands:
                raise _Refused("unknown command")
            text = self._commands[name](arguments)
        except _Refused as refusal:
            return f"?{number} {refusal}\n\n"
        except Exception as error:  # the session goes on, whatever a move came to
            story = " ".join(f"{type(error).__name__}: {error}".split())
            return f"?{number} internal error: {story}\n\n"
        return f"={number} {text}".rstrip() + "\n\n"

    def _quit(self, words: Sequence[str]) -> str:
        self.ended = True
        return ""

    def _boardsize(self, words: Sequence[str]) -> str:
        if _one(words) != str(SIZE):
            _refuse("unacceptable size")
        return self._begin(())

    def _begin(self, words: Sequence[str]) -> str:
        """A new game: what the player knows of the one before is over."""
        self._clear()
        self._begun += 1
        return ""

    def _clear(self) -> None:
        self._moves: list[tuple[int, int]] = []
        self._boards = Boards(1)
        self._ko = NO_MOVE
        self._player.ended([self._state(BLACK)])

    def _set_komi(self, words: Sequence[str]) -> str:
        try:
            komi = float(_one(words))
        except ValueError:
            _refuse("komi not a float")
        if not math.isfinite(komi):
            _refuse("komi not a float")
        self._komi = komi
        return ""

    def _play(self, words: Sequence[str]) -> str:
        if len(words) != 2:
            _refuse("invalid color or coordinate")
        color = _color(words[0])
        try:
            move = move_of(words[1])
        except ValueError:
            _refuse("invalid color or coordinate")
        if not self._put(color, move):
            _refuse("illegal move")
        return ""

    def _genmove(self, words: Sequence[str]) -> str:
        state = self._state(_color(_one(words)))
        (vertex,) = self._player.moves([state])
        if isinstance(vertex, Fault):
            _refuse(vertex.detail)
        if vertex != "resign" and not self._put(state.to_move, move_of(vertex)):
            _refuse(f"{vertex} was chosen, which is illegal")
        return vertex

    def _undo(self, words: Sequence[str]) -> str:
        if not self._moves:
            _refuse("cannot undo")
        kept = self._moves[:-1]
        self._clear()
        for color, move in kept:
            self._put(color, move)
        return ""

    def _final_score(self, words: Sequence[str]) -> str:
        margin = float(area_scores_of(self._boards.stones)[0]) - self._komi
        return f"{'B' if margin > 0 else 'W'}+{abs(margin):g}" if margin else "0"

    def _showboard(self, words: Sequence[str]) -> str:
        columns = "   " + " ".join(COLUMN_LETTERS)
        stones = self._boards.stones[0].reshape(SIZE, SIZE)
        rows = [
            f" {SIZE - row} " + " ".join(_STONES[color] for color in stones[row])
            for row in range(SIZE)
        ]
        return "\n".join(["", columns, *rows, columns])

    def _put(self, color: int, move: int) -> bool:
        """Plays a move; False where it is illegal, and nothing is changed."""
        self._heed_ko(color)
        verdict = Verdict(
            self._boards.play(_ROW, np.array([move]), np.array([color]), repetition_allowed=True)[0]
        )
        if verdict not in (Verdict.LEGAL, Verdict.SUPERKO):
            return False
        self._moves.append((color, move))
        self._ko = int(self._boards.ko[0])
        return True

    def _heed_ko(self, color: int) -> None:
        """Simple ko binds the other player alone: one color may make several moves in a row."""
        took_it = bool(self._moves) and self._moves[-1][0] == color
        self._boards.ko[0] = NO_MOVE if took_it else self._ko

    def _state(self, color: int) -> GameState:
        self._heed_ko(color)
        return GameState(
            game=0,
            seed=self._begun,
            komi=self._komi,
            moves=bytes(move for _, move in self._moves),
            to_move=color,
            stones=self._boards.stones[0].copy(),
            ko=int(self._boards.ko[0]),
            legal=self._boards.legal_moves(np.array([color]))[0],
        )


def serve(session: GtpSession, lines: Iterable[bytes], out: TextIO) -> None:
    """Answers line by line until `quit`, or until there are no more."""
    for line in lines:
        answer = session.answer(line.decode("ascii", "replace"))
        if answer is not None:
            out.write(answer)
            out.flush()
        if session.ended:
            return


class _Refused(Exception):
    """The command is answered `?`, with this message."""


def _refuse(message: str) -> NoReturn:
    raise _Refused(message)


def _one(words: Sequence[str]) -> str:
    """The only argument."""
    if len(words) != 1:
        _refuse("syntax error")
    return words[0]


def _color(word: str) -> int:
    color = _COLORS.get(word.lower())
    if color is None:
        _refuse("invalid color or coordinate")
    return color
