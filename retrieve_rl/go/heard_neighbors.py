"""The neighbors that an agent's last move was based on, as lines of text."""

import numpy as np

from retrieve_rl.go.agent import Agent
from retrieve_rl.go.diagrams import COLORS, WINNERS
from retrieve_rl.go.points import NO_MOVE, vertex_of
from retrieve_rl.go.symmetries import turn_moves


def heard_neighbors(agent: Agent, game: int) -> str:
    """A line for each neighbor, nearest first: row of the index, squared distance, ply, who was to
    move, who won, and the moves that followed, in the orientation of the game. "none" where there
    is no neighbor.
    """
    neighbors, known = agent.heard.get(game), agent.known
    if neighbors is None or known is None:
        return "none"
    lines = []
    for row, distance, symmetry in zip(*(column[0] for column in neighbors), strict=True):
        if row < 0:
            continue
        one = known.positions.take(np.array([row]))
        outcome = int(known.games.outcomes[int(one.games[0])])
        turned = turn_moves(one.next_moves[0], symmetry)
        followed = [vertex_of(int(move)) for move in turned if move != NO_MOVE]
        won = f"won by {WINNERS[outcome]}" if outcome else "a draw"
        lines.append(
            f"row {row} distance {distance:.4g} ply {int(one.plies[0])}"
            f" {COLORS[int(one.to_move[0])]} to move, {won}:"
            f" {' '.join(followed)}"
        )
    return "\n".join(lines) or "none"
