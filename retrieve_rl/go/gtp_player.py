"""An external engine as a player of many games: a process for each game at a time."""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from retrieve_rl.go.endings import EngineFault, Fault
from retrieve_rl.go.gtp_engine import SEED, GtpEngine, TimeLimits, not_an_engine, parse_command
from retrieve_rl.go.referee import GameState
from retrieve_rl.processes import usable_cores
from retrieve_rl.signals import StopRequest

_ANY_KOMI = 7.0


class GtpPlayer:
    """Processes of one engine; `close` ends them all.

    A process that has not failed serves another game afterwards. Where the command line holds
    `{seed}`, each game has a process of its own, started with the game's seed.

    Attributes:
      name: the engine's name and version, and the command line.
    """

    def __init__(
        self,
        command: str,
        *,
        stop: StopRequest,
        limits: TimeLimits | None = None,
        thinking: int | None = None,
    ) -> None:
        """Starts one process and sets up a game, to see that it can play.

        Args:
          stop: waiting for an engine ends (Interrupted) when this is set.
          thinking: processes that may think at the same time; by default as many as there are
            cores: time limits are wall time.

        Raises:
          UsageError: the command line is broken.
          MissingDependencyError: no such program, or it is not an engine for 9x9.
        """
        self._arguments = parse_command(command)
        self._stop = stop
        self._limits = limits or TimeLimits()
        self._thinking = thinking or usable_cores()
        self._playing: dict[int, GtpEngine] = {}
        self._idle: list[GtpEngine] = []
        try:
            engine = self._start(seed=0)
            engine.new_game(_ANY_KOMI)
        except EngineFault as fault:
            raise not_an_engine(self._arguments, fault) from None
        self.name = f"{engine.name} {engine.version} ({command})"
        self._leave(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every process."""
        engines = [*self._playing.values(), *self._idle]
        self._playing.clear()
        self._idle.clear()
        with ThreadPoolExecutor(self._thinking) as threads:
            list(threads.map(GtpEngine.quit, engines))

    def moves(self, states: Sequence[GameState]) -> list[str | Fault]:
        """As `Player.moves`. Raises Interrupted."""
        with ThreadPoolExecutor(self._thinking) as threads:
            return list(threads.map(self._move, states))

    def ended(self, states: Sequence[GameState]) -> list[str | None]:
        """As `Player.ended`: what `final_score` says of games that two passes ended."""
        with ThreadPoolExecutor(self._thinking) as threads:
            return list(threads.map(self._end, states))

    def _move(self, state: GameState) -> str | Fault:
        try:
            engine = self._playing.get(state.game)
            if engine is None:
                engine = self._playing[state.game] = self._at_new_game(state)
            engine.follow(state.moves)
            return engine.genmove()
        except EngineFault as error:
            self._playing.pop(state.game, None)
            return error.fault

    def _end(self, state: GameState) -> str | None:
        engine = self._playing.pop(state.game, None)
        if engine is None:
            return None
        try:
            if not state.two_passes:
                return None
            engine.follow(state.moves)
            return engine.final_score()
        except EngineFault:
            # The game is over: what happens now does not count.
            return None
        finally:
            self._leave(engine)

    def _at_new_game(self, state: GameState) -> GtpEngine:
        """Raises EngineFault where a fresh process fails; one that ended while idle is no fault."""
        engine = self._idle_engine()
        if engine is not None:
            with contextlib.suppress(EngineFault):
                engine.new_game(state.komi)
                return engine
        engine = self._start(state.seed)
        engine.new_game(state.komi)
        return engine

    def _idle_engine(self) -> GtpEngine | None:
        try:
            return self._idle.pop()
        except IndexError:  # Asking first and taking then would let two threads take the last.
            return None

    def _start(self, seed: int) -> GtpEngine:
        arguments = [part.replace(SEED, str(seed)) for part in self._arguments]
        return GtpEngine(arguments, self._limits, stop=self._stop)

    def _leave(self, engine: GtpEngine) -> None:
        """Keeps a process for another game, where it serves more than one."""
        if any(SEED in part for part in self._arguments) or not engine.alive:
            engine.quit()
        else:
            self._idle.append(engine)
