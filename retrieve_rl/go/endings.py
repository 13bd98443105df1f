"""How a game between two players ends: its label, and what that counts."""

from dataclasses import dataclass
from enum import StrEnum

from retrieve_rl.go.points import BLACK, EMPTY


class Label(StrEnum):
    """Why a game ended; the word that results use."""

    SCORE = "score"
    """Two passes: the board is counted."""
    RESIGN = "resign"
    CAP = "cap"
    """Too many moves: the board is counted as it stands."""
    ILLEGAL = "illegal"
    """A move the rules forbid, or none at all: lost."""
    TIME = "time"
    """No move within the limit: lost."""
    STALL = "stall"
    """No answer to a command other than for a move: void, as is all below."""
    CRASH = "crash"
    """The process ended, or closed its output."""
    PROTOCOL = "protocol"
    """Output that is no answer of the Go Text Protocol."""
    DESYNC = "desync"
    """The answer to another command."""
    ENGINE_ERROR = "engine_error"
    """The engine refused a command, a legal move among them."""


VOIDS = frozenset(
    (Label.STALL, Label.CRASH, Label.PROTOCOL, Label.DESYNC, Label.ENGINE_ERROR),
)
"""Labels of games that count for nobody."""


@dataclass(frozen=True)
class Fault:
    """What a player gives instead of a move when it fails: a label and, for a reader, the story."""

    label: Label
    detail: str


class EngineFault(Exception):
    """An engine failed; its process is dead by then."""

    def __init__(self, label: Label, detail: str) -> None:
        super().__init__(f"{label}: {detail}")
        self.fault = Fault(label, detail)


@dataclass(frozen=True)
class Ending:
    """How a game ended.

    Attributes:
      label: why.
      outcome: 1 where Black won, 0 for a draw, -1 where White won; None where the game is void.
      margin: Black's points minus White's, komi taken off; None where nothing was counted.
      at_fault: BLACK or WHITE where that player resigned or failed, else EMPTY.
      detail: for a reader; "" where there is nothing to add.
    """

    label: Label
    outcome: int | None
    margin: float | None = None
    at_fault: int = EMPTY
    detail: str = ""


def counted(label: Label, margin: float) -> Ending:
    """The board was counted."""
    return Ending(label, outcome=(margin > 0) - (margin < 0), margin=margin)


def failed(fault: Fault, color: int) -> Ending:
    """The player of this color resigned or failed: lost, or void."""
    lost = -1 if color == BLACK else 1
    outcome = None if fault.label in VOIDS else lost
    return Ending(fault.label, outcome, at_fault=color, detail=fault.detail)
