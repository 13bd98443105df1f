"""What stands beside a board, the same on the terminal and in the picture."""

from typing import NamedTuple

from retrieve_rl.go.diagrams import COLORS, Diagram
from retrieve_rl.go.look_up import LookUp
from retrieve_rl.go.points import vertex_of


class Board(NamedTuple):
    """One board of a row of boards.

    Attributes:
      title: "query", "neighbor 1", ...
      diagram: what is on it.
      distance: from the query; None for the query.
    """

    title: str
    diagram: Diagram
    distance: float | None


def boards_of(found: LookUp) -> list[Board]:
    """The query, then its neighbors."""
    neighbors = (
        Board(f"neighbor {number}", one.diagram, one.distance)
        for number, one in enumerate(found.neighbors, start=1)
    )
    return [Board("query", found.query, None), *neighbors]


def distance_line(board: Board) -> str:
    """ "distance 1.234"; empty for the query."""
    return "" if board.distance is None else f"distance {board.distance:.4g}"


def result_line(diagram: Diagram) -> str:
    """Who won by how much, and the komi."""
    record = diagram.record
    if record.winner in (None, "draw"):
        result = record.winner or "no result"
    else:
        by = "" if record.margin is None else f" by {abs(record.margin):g}"
        result = f"{record.winner} won{by}"
    return f"{result}, komi {record.komi:g}"


def turn_line(diagram: Diagram) -> str:
    """How far the game is and whose turn it is."""
    return f"ply {diagram.ply}, {COLORS[diagram.to_move]} to move"


def game_line(diagram: Diagram) -> str:
    """Where the game stands in the records, and the row where it is one of the store."""
    row = "" if diagram.row is None else f", row {diagram.row}"
    return f"{diagram.record.file} #{diagram.record.entry}{row}"


def player_lines(diagram: Diagram) -> list[str]:
    """Black's name, then White's."""
    names = zip(COLORS.values(), diagram.record.players, strict=True)
    return [f"{color}: {name or '?'}" for color, name in names]


def moves_line(diagram: Diagram) -> str:
    """The moves that followed."""
    return "next " + (" ".join(map(vertex_of, diagram.next_moves)) or "none")
