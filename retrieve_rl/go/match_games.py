"""The games of a match, planned and played: JSON that says everything, SGF for other programs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from retrieve_rl import artifacts
from retrieve_rl.config import Strict, validate
from retrieve_rl.documents import read_document, write_document
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.go.endings import Ending, Label
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.points import BLACK, EMPTY, WHITE, moves_of, text_of
from retrieve_rl.go.write_sgf import sgf_text

ColorName = Literal["black", "white"]
_LOSSES = {Label.RESIGN: "R", Label.TIME: "T", Label.ILLEGAL: "F"}
_COLOR_NAMES: dict[int, ColorName] = {BLACK: "black", WHITE: "white"}


class PlannedGame(Strict):
    """A game of a match before it is played.

    Attributes:
      number: from 0; a game's identity in its match.
      opening_number: games with the same one begin alike.
      opening: vertices with spaces between them; Black begins.
      player_is_black: else the opponent is.
      seed: for engines that take one; the same for both games of a pair.
      komi: points given to White.
    """

    number: int
    opening_number: int
    opening: str
    player_is_black: bool
    seed: int
    komi: float


class PlayedGame(Strict):
    """A game that has ended; see `Ending` for how.

    Attributes:
      game: as it was planned.
      black, white: the players' names.
      moves: the opening's included; vertices with spaces between them.
      at_fault: who resigned or failed.
      claims: the result as players count it, of those who do.
    """

    game: PlannedGame
    black: str
    white: str
    moves: str
    label: Label
    outcome: int | None = Field(ge=-1, le=1)
    margin: float | None
    at_fault: ColorName | None
    detail: str
    claims: dict[ColorName, str]

    @property
    def score(self) -> float | None:
        """What the game gives the player: 1 for a win, 0.5 for a draw; None where it is void."""
        if self.outcome is None:
            return None
        return 0.5 + (0.5 if self.game.player_is_black else -0.5) * self.outcome

    @property
    def result(self) -> str:
        """As SGF writes it: by points, resignation, time, forfeit, or void."""
        if self.outcome is None:
            return "Void"
        if self.outcome == 0:
            return "0"
        how = f"{abs(self.margin):g}" if self.margin is not None else _LOSSES[self.label]
        return f"{'B' if self.outcome > 0 else 'W'}+{how}"


def plan_games(openings: OpeningSet, num_games: int, *, komi: float) -> list[PlannedGame]:
    """Pairs of games from the same opening with colors swapped, each pair with a seed of its own.

    Where the openings run out they begin again, with other seeds.

    Raises:
      UsageError: an odd number of games, or none.
    """
    if num_games < 2 or num_games % 2:
        raise UsageError(f"{num_games} games cannot be played in pairs: ask for an even number")
    planned = []
    for number in range(num_games):
        opening_number = number // 2 % len(openings.openings)
        planned.append(
            PlannedGame(
                number=number,
                opening_number=opening_number,
                opening=text_of(openings.openings[opening_number]),
                player_is_black=number % 2 == 0,
                seed=openings.first_seed + number // 2,
                komi=komi,
            )
        )
    return planned


def played_game(
    game: PlannedGame,
    ending: Ending,
    *,
    names: tuple[str, str],
    moves: bytes,
    claims: tuple[str | None, str | None],
) -> PlayedGame:
    """A planned game and what became of it; names and claims are the player's and opponent's."""
    black, white = names if game.player_is_black else names[::-1]
    by_color = claims if game.player_is_black else claims[::-1]
    told = zip(_COLOR_NAMES.values(), by_color, strict=True)
    return PlayedGame(
        game=game,
        black=black,
        white=white,
        moves=text_of(moves),
        label=ending.label,
        outcome=ending.outcome,
        margin=ending.margin,
        at_fault=None if ending.at_fault == EMPTY else _COLOR_NAMES[ending.at_fault],
        detail=ending.detail,
        claims={color: claim for color, claim in told if claim is not None},
    )


def save_game(folder: Path, played: PlayedGame) -> None:
    """Writes `game-N.sgf`, then `game-N.json`: with the second the game is saved."""
    path = _path(folder, played.game)
    artifacts.write_file(path.with_suffix(".sgf"), _sgf(played))
    write_document(path, played.model_dump(mode="json"))


def saved_games(
    folder: Path, planned: Sequence[PlannedGame], names: tuple[str, str]
) -> dict[int, PlayedGame]:
    """The planned games that the folder holds, by number.

    Args:
      names: the player's and the opponent's.

    Raises:
      DataError: a file cannot be read, or is of another match.
    """
    found = {}
    for game in planned:
        path = _path(folder, game)
        if not path.exists():
            continue
        try:
            played = validate(PlayedGame, read_document(path), source=str(path))
        except (DataError, UsageError) as error:
            raise DataError(f"{error}: it is no played game; remove it") from None
        black, white = names if game.player_is_black else names[::-1]
        if (played.game, played.black, played.white) != (game, black, white):
            raise DataError(
                f"{path} is of another match, {played.black} against {played.white}: choose another"
                " folder, or remove this one"
            )
        found[game.number] = played
    return found


def played_games_of(outcomes: Iterable[Mapping[str, Any]]) -> list[PlayedGame]:
    """The games in the outcomes of a match's result."""
    return [PlayedGame.model_validate_json(artifacts.to_json(game)) for game in outcomes]


def _sgf(played: PlayedGame) -> str:
    game = played.game
    comment = f"game {game.number}, opening {game.opening_number}, seed {game.seed}: {played.label}"
    return sgf_text(
        moves_of(played.moves),
        komi=game.komi,
        names=(played.black, played.white),
        result=played.result,
        comment=f"{comment}; {played.detail}" if played.detail else comment,
    )


def _path(folder: Path, game: PlannedGame) -> Path:
    return folder / f"game-{game.number:05d}.json"
