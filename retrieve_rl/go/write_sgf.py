"""A game as SGF, for any program that reads it; the same bytes for the same game."""

from retrieve_rl.go.points import PASS, SIZE

_MOVES_A_LINE = 12


def sgf_text(
    moves: bytes, *, komi: float, names: tuple[str, str], result: str, comment: str = ""
) -> str:
    """One game from an empty board, Black first, by area rules.

    Args:
      moves: one byte each, `PASS` for a pass.
      names: Black's and White's.
      result: as SGF writes it: "B+3.5", "W+R", "0", "Void".
      comment: on the whole game; left out where empty.
    """
    root = {
        "FF": "4",
        "GM": "1",
        "CA": "UTF-8",
        "SZ": str(SIZE),
        "KM": f"{komi:g}",
        "RU": "Chinese",
        "PB": names[0],
        "PW": names[1],
        "RE": result,
        "GC": comment,
    }
    header = "".join(f"{name}[{_escaped(value)}]" for name, value in root.items() if value)
    nodes = [f";{'BW'[ply % 2]}[{_point(move)}]" for ply, move in enumerate(moves)]
    lines = [
        "".join(nodes[start : start + _MOVES_A_LINE])
        for start in range(0, len(nodes), _MOVES_A_LINE)
    ]
    return "\n".join([f"(;{header}", *lines]) + ")\n"


def _point(move: int) -> str:
    if move == PASS:
        return ""
    row, column = divmod(move, SIZE)
    return "abcdefghi"[column] + "abcdefghi"[row]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("]", "\\]")
