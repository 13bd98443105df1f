"""Boards side by side on a terminal, by Rich."""

from rich.columns import Columns
from rich.console import Group
from rich.text import Text

from retrieve_rl.go import captions
from retrieve_rl.go.diagrams import Diagram, board_rows
from retrieve_rl.go.look_up import LookUp
from retrieve_rl.go.points import COLUMN_LETTERS, PASS, SIZE

LEGEND = "X black, O white, * the next move"
_WIDTH = 24
_MARK = "bold red"


def text_boards(found: LookUp) -> Group:
    """The query and its neighbors, as many in a line as fit, and the legend."""
    blocks = map(_block, captions.boards_of(found))
    return Group(Columns(blocks, width=_WIDTH, padding=(1, 2, 0, 0)), Text(f"\n{LEGEND}"))


def _block(board: captions.Board) -> Text:
    diagram = board.diagram
    block = Text(overflow="fold")
    block.append(f"{board.title}\n", "bold")
    _append_board(block, diagram)
    lines = [
        captions.distance_line(board),
        captions.result_line(diagram),
        captions.turn_line(diagram),
        captions.moves_line(diagram),
        *captions.player_lines(diagram),
        captions.game_line(diagram),
    ]
    return block.append("\n".join(lines))


def _append_board(block: Text, diagram: Diagram) -> None:
    letters = f"  {' '.join(COLUMN_LETTERS)}\n"
    block.append(letters)
    following = diagram.next_moves[0] if diagram.next_moves else PASS
    for row, points in enumerate(board_rows(diagram)):
        block.append(f"{SIZE - row}")
        for column, character in enumerate(points):
            marked = row * SIZE + column == following
            block.append(" ")
            block.append("*" if marked else character, _MARK if marked else "")
        block.append("\n")
