"""What a match asks of those who play it."""

from collections.abc import Sequence
from typing import Protocol

from retrieve_rl.go.endings import Fault
from retrieve_rl.go.referee import GameState


class Player(Protocol):
    """Plays many games at once.

    Attributes:
      name: stands in the records of games; a player that plays differently has another.
    """

    @property
    def name(self) -> str: ...

    def moves(self, states: Sequence[GameState]) -> Sequence[str | Fault]:
        """A vertex, "pass" or "resign" for each position; a `Fault` where the player failed.

        All are of different games, and the player is to move in each. A game's positions come in
        order, but not every call has one of each game.
        """
        ...

    def ended(self, states: Sequence[GameState]) -> Sequence[str | None]:
        """Tells that these games are over, whoever ended them.

        Returns:
          For each, the result as the player counts it ("W+2.5") where it does, else None.
        """
        ...
