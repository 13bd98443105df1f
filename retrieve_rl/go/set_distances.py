"""How far positions are from a retrieval set, before and after it grows.

Humphreys et al. 2022, Figure 6a: adding games against an opponent brings the set nearer to what is
played against him.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.go.agreement import plies_in_buckets, same_stones
from retrieve_rl.go.built import Built
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.games import Source, read_records
from retrieve_rl.go.index import neighbors_of_positions
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.splits import ADDED
from retrieve_rl.results import Run
from retrieve_rl.retrieval.neighbors import NO_GROUP
from retrieve_rl.retrieval.quality import quantiles

_POSITIONS_AT_ONCE = 4096


def nearest_distances(
    config: GoConfig,
    built: Built,
    positions: Positions,
    komi: Float[np.ndarray, " B"],
    run: Run,
    *,
    hidden_games: Int[np.ndarray, " B"] | None = None,
) -> Float[np.ndarray, " B"]:
    """The squared distance of each position's nearest neighbor, asked as the config says.

    Args:
      hidden_games: row of the game that each must not hear of, NO_GROUP for none.

    Raises:
      Interrupted: a signal came.
    """
    if hidden_games is None:
        hidden_games = np.full(len(komi), NO_GROUP)
    parts = []
    for start in range(0, len(komi), _POSITIONS_AT_ONCE):
        run.stop.raise_if_requested("all is kept but the report: run again to go on")
        rows = np.arange(start, min(start + _POSITIONS_AT_ONCE, len(komi)))
        found = neighbors_of_positions(
            config,
            built.data,
            built.encoder,
            built.index,
            positions.take(rows),
            komi=komi[rows],
            hidden_games=hidden_games[rows],
            num_neighbors=1,
        )
        parts.append(found.distances[:, 0])
    return np.concatenate(parts)


def distances_in_games(
    config: GoConfig, old: Built, grown: Built, sources: Sequence[Source], run: Run
) -> dict[str, Any]:
    """How near the positions of some games are to a set and to one that has grown from it.

    Nothing is hidden, as in play: a game that is itself in a set is found there, and counted.

    Args:
      sources: records, as of a later match; a `Selection` may keep one player's positions alone.

    Returns:
      Quantiles of the distances "to_old" and "to_grown", and the share of the positions whose
      stones lie, in any orientation, in one that was added since the config's own index.

    Raises:
      DataError: the records cannot be read, or hold no usable game.
    """
    records = read_records(sources, fraction=1.0, seed=0, reporter=run.reporter, stop=run.stop)
    positions = records.positions
    komi = records.games.komi[positions.games]
    added = grown.data.store.positions.take(grown.data.rows_of(ADDED))
    same = same_stones(positions.boards, added.boards)
    return {
        "games": len(records.games),
        "positions": positions.num_positions,
        "rejected": records.rejected,
        "games_in_grown": int(np.sum(grown.data.store.games.find(records.games.digests) >= 0)),
        "to_old": quantiles(nearest_distances(config, old, positions, komi, run)),
        "to_grown": quantiles(nearest_distances(config, grown, positions, komi, run)),
        "found_among_added": {
            "all": float(same.mean()),
            "by_ply": {
                name: {"positions": int(part.sum()), "share": float(same[part].mean())}
                for name, part in plies_in_buckets(positions.plies).items()
                if part.any()
            },
        },
    }
