"""Plays a match: many games at once, every one judged by our referee and saved as it ends."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from retrieve_rl.errors import Interrupted
from retrieve_rl.go.endings import Fault
from retrieve_rl.go.match_games import (
    PlannedGame,
    PlayedGame,
    played_game,
    save_game,
    saved_games,
)
from retrieve_rl.go.player import Player
from retrieve_rl.go.points import BLACK, moves_of
from retrieve_rl.go.referee import Referee
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest


def play_match(
    player: Player,
    opponent: Player,
    games: Sequence[PlannedGame],
    folder: Path,
    *,
    at_once: int,
    reporter: Reporter,
    stop: StopRequest,
) -> list[PlayedGame]:
    """Plays the games that the folder does not hold yet, and gives all, in the order of the plan.

    Games go on in step, one move each: what a player is asked at once does not depend on how long
    the other takes. The opponent is asked in a thread of its own while the player thinks here.

    Args:
      at_once: games that are played at the same time.

    Raises:
      DataError: the folder holds games of another match.
      Interrupted: a signal asked to stop; games that had ended are saved, those that ended last
        without claims where it came before these.
    """
    played = saved_games(folder, games, (player.name, opponent.name))
    waiting = deque(game for game in games if game.number not in played)
    boards: list[_Board] = []

    def saved() -> str:
        return f"{len(played)} of {len(games)} games are saved in {folder}"

    with (
        reporter.track("games", len(games), start=len(played)) as advance,
        ThreadPoolExecutor(1) as beside,
    ):
        while waiting or boards:
            stop.raise_if_requested(saved())
            while waiting and len(boards) < at_once:
                boards.append(_set_up(waiting.popleft()))
            try:
                _move_each(boards, player, opponent, beside)
                ended = [board for board in boards if board.referee.ending is not None]
                _save_each(ended, player, opponent, folder, played)
            except Interrupted:
                stop.raise_if_requested(saved())
                raise
            boards = [board for board in boards if board.referee.ending is None]
            advance(len(played))
    return [played[game.number] for game in games]


class _Board(NamedTuple):
    game: PlannedGame
    referee: Referee

    @property
    def player_moves(self) -> bool:
        return (self.referee.to_move == BLACK) == self.game.player_is_black


def _set_up(game: PlannedGame) -> _Board:
    opening = moves_of(game.opening)
    return _Board(game, Referee(game.number, opening, komi=game.komi, seed=game.seed))


def _move_each(
    boards: Sequence[_Board], player: Player, opponent: Player, beside: ThreadPoolExecutor
) -> None:
    """One move, or ending, in every game."""
    ours = [board for board in boards if board.player_moves]
    theirs = [board for board in boards if not board.player_moves]
    thinking = beside.submit(_answers, opponent, theirs)
    answers = [*_answers(player, ours), *thinking.result()]
    for board, answer in zip([*ours, *theirs], answers, strict=True):
        board.referee.hear(answer)


def _answers(player: Player, boards: Sequence[_Board]) -> Sequence[str | Fault]:
    return player.moves([board.referee.state() for board in boards]) if boards else []


def _save_each(
    ended: Sequence[_Board],
    player: Player,
    opponent: Player,
    folder: Path,
    played: dict[int, PlayedGame],
) -> None:
    """Saves games and adds them to those played, without claims where asking for them fails."""
    names = (player.name, opponent.name)
    claims: list[tuple[str | None, str | None]] = [(None, None)] * len(ended)
    try:
        claims = _claims(ended, player, opponent)
    finally:
        for board, two in zip(ended, claims, strict=True):
            ending, moves = board.referee.ending, board.referee.moves
            assert ending is not None
            result = played_game(board.game, ending, names=names, moves=moves, claims=two)
            save_game(folder, result)
            played[board.game.number] = result


def _claims(
    ended: Sequence[_Board], player: Player, opponent: Player
) -> list[tuple[str | None, str | None]]:
    """What the player and the opponent say that each of these games' result is."""
    if not ended:
        return []
    states = [board.referee.state() for board in ended]
    return list(zip(player.ended(states), opponent.ended(states), strict=True))
