"""The positions in which a player had to move in a match, from the games that were saved."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.go.agreement import plies_in_buckets
from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.match_games import PlayedGame
from retrieve_rl.go.neighbor_source import NeighborSource
from retrieve_rl.go.points import BLACK, moves_of
from retrieve_rl.go.positions import Positions, positions_of
from retrieve_rl.go.referee import GameState, Referee
from retrieve_rl.go.replay import replay
from retrieve_rl.go.sgf import game_of_moves
from retrieve_rl.retrieval.quality import quantiles

_AT_ONCE = 64


class Played(NamedTuple):
    """Positions of a match, in the order of its games and moves.

    Attributes:
      positions: `games` counts the games given.
      komi: of each.
    """

    positions: Positions
    komi: Float[np.ndarray, " N"]


def played_positions(played: Sequence[PlayedGame]) -> Played:
    """Where the player (not the opponent) moved, openings left out."""
    replayed = replay([game_of_moves(moves_of(game.moves)) for game in played])
    opened = np.array([len(game.game.opening.split()) for game in played], int)
    parity = np.array([0 if game.game.player_is_black else 1 for game in played], int)
    games, plies = replayed.games, replayed.plies
    chosen = np.flatnonzero((plies >= opened[games]) & (plies % 2 == parity[games]))
    positions = positions_of(replayed, chosen)
    komi = np.array([game.game.komi for game in played], np.float32)
    return Played(positions, komi[positions.games])


def neighbors_of_played(
    source: NeighborSource, played: Played, num_neighbors: int
) -> TurnedNeighbors:
    """What the index holds nearest to each of at least one position."""
    count = len(played.komi)
    parts = []
    for start in range(0, count, _AT_ONCE):
        chosen = np.arange(start, min(start + _AT_ONCE, count))
        # One shape, one compilation: the last chunk repeats its last row.
        rows = np.pad(chosen, (0, _AT_ONCE - len(chosen)), mode="edge")
        found = source.nearest(played.positions.take(rows), played.komi[rows], num_neighbors)
        parts.append([np.asarray(part)[: len(chosen)] for part in found])
    return TurnedNeighbors(*map(np.concatenate, zip(*parts, strict=True)))


def distances_of_played(source: NeighborSource, played: Played) -> dict[str, Any]:
    """How far the played positions are from the retrieval set (Humphreys et al. 2022, Figure 6a).

    Squared distances to the nearest neighbor, all and by ply, as strict JSON.
    """
    if not len(played.komi):
        return {"positions": 0, "nearest": {}, "by_ply": {}}
    nearest = np.asarray(neighbors_of_played(source, played, 1).distances)[:, 0]
    plies: Int[np.ndarray, " N"] = played.positions.plies.astype(np.int64)
    return {
        "positions": len(nearest),
        "nearest": _spread(nearest),
        "by_ply": {
            name: _spread(nearest[inside]) for name, inside in plies_in_buckets(plies).items()
        },
    }


def middle_states(played: Sequence[PlayedGame]) -> list[GameState]:
    """From the middle of each game, the player to move; no game that ended before its first move.

    The same positions in any order of playing: what a move costs is measured on them.
    """
    states = []
    for game in played:
        moves, opening = moves_of(game.moves), len(game.game.opening.split())
        ply = max(opening, len(moves) // 2)
        ply += (ply % 2 == 0) != game.game.player_is_black
        if ply < len(moves):
            referee = Referee(
                game.game.number, moves[:ply], komi=game.game.komi, seed=game.game.seed
            )
            assert (referee.to_move == BLACK) == game.game.player_is_black
            states.append(referee.state())
    return states


def _spread(distances: Float[np.ndarray, " N"]) -> dict[str, float]:
    finite = distances[np.isfinite(distances)]
    return {"mean": float(finite.mean()), **quantiles(finite)} if len(finite) else {}
