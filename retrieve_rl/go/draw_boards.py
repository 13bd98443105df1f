"""Boards side by side as SVG and PNG (the form of Humphreys et al. 2022, Figure 3)."""

import io
import warnings
from textwrap import wrap
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle

from retrieve_rl.go import captions
from retrieve_rl.go.diagrams import Diagram
from retrieve_rl.go.look_up import LookUp
from retrieve_rl.go.points import BLACK, COLUMN_LETTERS, EMPTY, PASS, SIZE, vertex_of

DOTS_PER_INCH = 150
COLUMNS = 6
"""Boards in a line, at most."""
RED = "#d0021b"
BORDERS = {"black": "#111111", "white": "#ffffff", "draw": "#9b9b9b"}
_WOOD, _LINE, _OUTLINE = "#e3c07b", "#4a3a1a", "#555555"

# Inches.
_CELL_WIDTH, _CELL_HEIGHT = 2.6, 3.8
_BOARD = 2.3
_MARGIN, _TITLE, _LEGEND = 0.15, 0.3, 0.45
# Points of the board.
_EDGE, _FRAME, _LABEL = 1.2, 0.3, 0.85
_LETTERS_A_LINE = 38
# Names are no formulas; letters of SVG stay letters, to be searched and read aloud.
_SETTINGS: Any = {"svg.hashsalt": "rrl", "svg.fonttype": "none", "text.parse_math": False}


class Pictures(NamedTuple):
    """One drawing as the bytes of two files; the same look-up gives the same bytes."""

    svg: bytes
    png: bytes


def draw_boards(found: LookUp) -> Pictures:
    """The query, then its neighbors: next moves in red, the border by the winner, captions below.

    Next moves are numbered where there is more than one; those that are passes, or fall on a stone
    or an earlier one, are named below the board.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        # A name in another script shows boxes in the PNG; the SVG leaves it to its reader's fonts.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = _figure(found)
        return Pictures(
            _save(figure, "svg", {"Date": None, "Creator": None}),
            _save(figure, "png", {"Software": None}),
        )


def _save(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return file.getvalue()


def _figure(found: LookUp) -> Figure:
    boards = captions.boards_of(found)
    columns = min(len(boards), COLUMNS)
    lines = -(-len(boards) // columns)
    width = 2 * _MARGIN + columns * _CELL_WIDTH
    height = 2 * _MARGIN + lines * _CELL_HEIGHT + _LEGEND
    figure = Figure(figsize=(width, height), facecolor="white")
    for number, board in enumerate(boards):
        line, column = divmod(number, columns)
        left = _MARGIN + column * _CELL_WIDTH + (_CELL_WIDTH - _BOARD) / 2
        top = height - _MARGIN - line * _CELL_HEIGHT - _TITLE
        place = (left / width, (top - _BOARD) / height, _BOARD / width, _BOARD / height)
        axes = figure.add_axes(place)
        _draw_board(axes, board.diagram, name=board.title.replace(" ", "-"))
        axes.set_title(board.title, fontsize=10, fontweight="bold", pad=5)
        _write_captions(axes, board)
    _draw_legend(figure)
    return figure


def _draw_board(axes: Axes, diagram: Diagram, *, name: str) -> None:
    """Points are at their columns and rows; row 0 is at the top."""
    low, high = -_EDGE - _FRAME, SIZE - 1 + _EDGE + _FRAME
    axes.set_xlim(low, high)
    axes.set_ylim(high, low)
    axes.axis("off")
    winner = diagram.record.winner
    border = BORDERS.get(winner or "", _WOOD)
    frame = _rectangle(low, high, facecolor=border, edgecolor=_OUTLINE, linewidth=0.8)
    frame.set_gid(f"{name}-border-{winner or 'unknown'}")
    axes.add_patch(frame)
    axes.add_patch(_rectangle(-_EDGE, SIZE - 1 + _EDGE, facecolor=_WOOD, edgecolor="none"))
    _draw_lines(axes)
    for point, color in enumerate(diagram.stones.tolist()):
        if color != EMPTY:
            fill = "black" if color == BLACK else "white"
            _draw_disk(axes, point, 0.46, facecolor=fill, edgecolor="black", zorder=3)
    on_board, _ = _marked_and_named(diagram)
    for number, move in on_board:
        face, letter = (RED, "white") if number == 1 else (_WOOD, RED)
        disk = _draw_disk(axes, move, 0.4, facecolor=face, edgecolor=RED, zorder=4)
        disk.set_gid(f"{name}-next-{number}")
        if len(diagram.next_moves) > 1:
            row, column = divmod(move, SIZE)
            _write(axes, column, row, str(number), size=6.5, color=letter, weight="bold")


def _draw_lines(axes: Axes) -> None:
    for place in range(SIZE):
        axes.plot([0, SIZE - 1], [place, place], color=_LINE, linewidth=0.6, zorder=2)
        axes.plot([place, place], [0, SIZE - 1], color=_LINE, linewidth=0.6, zorder=2)
        _write(axes, place, SIZE - 1 + _LABEL, COLUMN_LETTERS[place], size=5, color=_LINE)
        _write(axes, -_LABEL, place, str(SIZE - place), size=5, color=_LINE)


def _marked_and_named(diagram: Diagram) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Next moves as (number, move): those marked on the board, and those named below it."""
    on_board: list[tuple[int, int]] = []
    below: list[tuple[int, int]] = []
    taken = {point for point, color in enumerate(diagram.stones.tolist()) if color != EMPTY}
    for number, move in enumerate(diagram.next_moves, start=1):
        (below if move == PASS or move in taken else on_board).append((number, move))
        taken.add(move)
    return on_board, below


def _write_captions(axes: Axes, board: captions.Board) -> None:
    diagram = board.diagram
    _, named = _marked_and_named(diagram)
    more = [f"{number} {'' if move == PASS else 'at '}{vertex_of(move)}" for number, move in named]
    lines = [
        captions.result_line(diagram),
        captions.turn_line(diagram),
        *captions.player_lines(diagram),
        captions.game_line(diagram),
    ]
    not_drawn = wrap(f"not drawn: {', '.join(more)}", _LETTERS_A_LINE) if more else []
    text = "\n".join([*map(_shortened, lines), *not_drawn])
    style: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "top"}
    axes.text(0.5, -0.03, captions.distance_line(board), fontsize=8.5, fontweight="bold", **style)
    axes.text(0.5, -0.115, text, fontsize=6.5, linespacing=1.35, **style)


def _shortened(line: str) -> str:
    if len(line) <= _LETTERS_A_LINE:
        return line
    return line[: _LETTERS_A_LINE - 3] + "..."


def _draw_legend(figure: Figure) -> None:
    borders = [
        Patch(facecolor=BORDERS[winner], edgecolor=_OUTLINE, linewidth=0.8, label=label)
        for winner, label in (("black", "black won"), ("white", "white won"), ("draw", "draw"))
    ]
    moves = [
        Line2D([], [], linestyle="", marker="o", color=RED, markerfacecolor=face, label=label)
        for face, label in ((RED, "next move"), (_WOOD, "moves after it"))
    ]
    figure.legend(
        handles=[*borders, *moves], loc="lower center", ncols=5, frameon=False, fontsize=7
    )


def _rectangle(low: float, high: float, **style: Any) -> Rectangle:
    return Rectangle((low, low), high - low, high - low, **style)


def _draw_disk(axes: Axes, point: int, radius: float, **style: Any) -> Circle:
    row, column = divmod(point, SIZE)
    disk = Circle((column, row), radius, linewidth=0.7, **style)
    axes.add_patch(disk)
    return disk


def _write(axes: Axes, column: float, row: float, text: str, **style: Any) -> None:
    axes.text(column, row, text, ha="center", va="center", zorder=5, **style)
