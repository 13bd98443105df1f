"""An engine at a 9x9 board: what a game needs of the Go Text Protocol."""

import contextlib
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from retrieve_rl.errors import MissingDependencyError, UsageError
from retrieve_rl.go.endings import EngineFault, Label
from retrieve_rl.go.gtp_process import GtpProcess
from retrieve_rl.go.points import SIZE, move_of, vertex_of
from retrieve_rl.signals import StopRequest

# Debian puts games there, outside the PATH of root and of services.
_MORE_FOLDERS = ("/usr/games", "/usr/local/games")
SEED = "{seed}"
"""Stands in a command line for the seed of a game."""


@dataclass(frozen=True)
class TimeLimits:
    """Seconds that answers may take.

    Attributes:
      start: the first answer of a process, which may have much to load.
      command: any other answer but a move.
      move: what one move is meant to take; it is waited for twice that long and `command` more.
    """

    start: float = 60.0
    command: float = 10.0
    move: float = 10.0

    @property
    def overdue(self) -> float:
        """After how many seconds a move counts as not made."""
        return 2 * self.move + self.command


class GtpEngine:
    """An engine's process and the game on its board. After any fault the process is dead.

    Attributes:
      name, version: as the engine calls itself.
      moves: on its board since `new_game`; one byte each.
    """

    def __init__(self, arguments: Sequence[str], limits: TimeLimits, *, stop: StopRequest) -> None:
        """Starts the engine and asks who it is. Raises EngineFault."""
        self.moves = b""
        self._limits = limits
        self._process = GtpProcess(arguments, stop=stop)
        self.name = self._do("name", limits.start)
        self.version = self._do("version")
        self._commands = frozenset(self._do("list_commands").split())

    @property
    def alive(self) -> bool:
        """Whether it has not been ended."""
        return self._process.alive

    def new_game(self, komi: float) -> None:
        """Clears the board; sets size, komi and rules, and reads back what can be. EngineFault."""
        self._do(f"boardsize {SIZE}")
        self._do("clear_board")
        self._do(f"komi {komi:g}")
        self.moves = b""
        if "kgs-rules" in self._commands:
            self._do("kgs-rules chinese")
        self._check("query_boardsize", SIZE)
        self._check("get_komi", komi)

    def follow(self, moves: bytes) -> None:
        """Plays what is new of the game's moves; those before are on the board.

        Raises:
          EngineFault: ENGINE_ERROR where the engine calls one illegal: the referee has allowed it.
        """
        for ply in range(len(self.moves), len(moves)):
            self._do(f"play {_color(ply)} {vertex_of(moves[ply])}")
            self.moves = moves[: ply + 1]

    def genmove(self) -> str:
        """What the engine plays for the player to move: a vertex, "pass" or "resign", unchecked.

        A vertex is on its board from then on. Where the engine would pass, it is asked for a move
        that takes dead stones off, if it knows how to (GNU Go and Pachi do): engines that leave
        dead stones to an agreement would lose won games, for the board is counted as it stands.

        Raises:
          EngineFault: TIME where all of it takes longer than the limits allow for a move.
        """
        color, deadline = _color(len(self.moves)), time.monotonic() + self._limits.overdue
        vertex = self._do_before(deadline, f"genmove {color}")
        if vertex.lower() == "pass" and {"undo", "kgs-genmove_cleanup"} <= self._commands:
            self._do_before(deadline, "undo")
            vertex = self._do_before(deadline, f"kgs-genmove_cleanup {color}")
        with contextlib.suppress(ValueError):
            self.moves += bytes((move_of(vertex),))
        return vertex

    def final_score(self) -> str | None:
        """What the engine says the result is ("B+3.5"); None where it does not say."""
        if "final_score" not in self._commands:
            return None
        answer = self._process.ask("final_score", self._limits.command)
        return answer.text if answer.success else None

    def quit(self) -> None:
        """Ends the process."""
        self._process.quit()

    def _do_before(self, deadline: float, command: str) -> str:
        """A part of a move."""
        return self._do(command, deadline - time.monotonic(), late=Label.TIME)

    def _do(self, command: str, seconds: float | None = None, *, late: Label = Label.STALL) -> str:
        limit = self._limits.command if seconds is None else seconds
        answer = self._process.ask(command, limit, late=late)
        if not answer.success:
            self._refused(command, answer.text)
        return answer.text

    def _check(self, command: str, expected: float) -> None:
        if command not in self._commands:
            return
        text = self._do(command)
        try:
            same = float(text) == expected
        except ValueError:
            same = False
        if not same:
            self._refused(command, f"{text}, {expected:g} was set")

    def _refused(self, command: str, text: str) -> NoReturn:
        self._process.kill()
        raise EngineFault(Label.ENGINE_ERROR, f"{command!r}: {text[:200]!r}")


def parse_command(command: str) -> tuple[str, ...]:
    """A command line as arguments, the program with its full path.

    Raises:
      UsageError: broken quotes, or nothing there.
      MissingDependencyError: there is no such program.
    """
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the opponent {command!r} cannot be read: {error}") from None
    if not arguments:
        raise UsageError("the opponent is empty: expected a command line, as in 'gnugo --mode gtp'")
    return (_find(arguments[0]), *arguments[1:])


def _find(program: str) -> str:
    found = shutil.which(program)
    for folder in _MORE_FOLDERS:
        found = found or shutil.which(program, path=folder)
    if found is None:
        raise MissingDependencyError(
            f"the engine {program!r} is not there: install it, or name its full path"
            " (GNU Go is Debian's package gnugo)"
        )
    return found


def not_an_engine(arguments: Sequence[str], fault: EngineFault) -> MissingDependencyError:
    """The error for a program that does not answer as an engine at its very first game."""
    message = f"{shlex.join(arguments)} is no engine that can play: {fault}"
    if Path(arguments[0]).name == "pachi":
        message += (
            "; the package pachi of Debian is another program, a platform game: the engine is to be"
            " had from github.com/pasky/pachi"
        )
    return MissingDependencyError(message)


def _color(ply: int) -> str:
    return "w" if ply % 2 else "b"
