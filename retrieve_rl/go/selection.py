"""Which games, and which positions of them, a source of records contributes."""

import math
import re
from dataclasses import dataclass

from retrieve_rl.go.sgf import Game

NO_RANK = -128
_RANK = re.compile(r"(-?\d{1,2})\s*(k|kyu|d|dan|p|pro)[*?]?", re.ASCII | re.IGNORECASE)
_RATING = re.compile(r"(\d{1,5}(?:\.\d{1,6})?)\??", re.ASCII)
_LOWEST_PROFESSIONAL = 9


@dataclass(frozen=True)
class Selection:
    """What a game must be like to be taken; the default takes all.

    Attributes:
      players: names, one of which must play; empty for anyone.
      named_side_only: only positions in which the player to move has a name, and, where `players`
        is given, one of these.
    """

    players: tuple[str, ...] = ()
    named_side_only: bool = False

    def takes(self, game: Game) -> bool:
        """Whether the game is taken."""
        listed = not self.players or any(name in self.players for name in game.names)
        return listed and any(self.takes_side(name) for name in game.names)

    def takes_side(self, name: str) -> bool:
        """Whether positions in which the player called `name` is to move are taken."""
        if not self.named_side_only:
            return True
        return name in self.players if self.players else bool(name)


def rating(text: str) -> float:
    """A rating that was recorded as a number ("2207", "1830?"); NaN for anything else."""
    found = _RATING.fullmatch(text.strip())
    return float(found[1]) if found else math.nan


def rank(text: str) -> int:
    """A rank as steps above 1 kyu: "2k" is -1, "1k" 0, "1d" 1, "3d" 3, "1p" 10.

    `NO_RANK` for anything else. Some servers write 7 dan as "-6k"; this reads it so.
    """
    found = _RANK.fullmatch(text.strip())
    if not found:
        return NO_RANK
    number, kind = int(found[1]), found[2][0].lower()
    return {"k": 1 - number, "d": number, "p": _LOWEST_PROFESSIONAL + number}[kind]
