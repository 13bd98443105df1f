"""How far positions are from a retrieval set, before and after it grows.

Humphreys et al. 2022, Figure 6a: adding games against an opponent brings the set nearer to what is
played against him.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.go.agreement import plies_in_buckets, same_stones
from retrieve_rl.go.built import Built
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.index import neighbors_of_positions
from retrieve_rl.go.played_positions import Played
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


def as_played(config: GoConfig) -> GoConfig:
    """The config whose index is asked in the orientations that the policy asks in."""
    index = config.index.model_copy(update={"orientations": config.retrieval.orientations})
    return config.model_copy(update={"index": index})


def distances_to_sets(
    config: GoConfig, old: Built, grown: Built, asking: Played, run: Run
) -> dict[str, Any]:
    """How near positions of a match are to a set and to one that has grown from it.

    They ask in the orientations of the policy, and nothing is hidden, as in play.

    Args:
      asking: at least one position.

    Returns:
      Quantiles of the distances "to_old" and "to_grown", and the share of the positions whose
      stones lie, in any orientation, in one that was added and in none of the old set.
    """
    config = as_played(config)
    positions, komi = asking
    store = grown.data.store.positions
    known = old.data.store.positions.take(old.data.retrieval_rows)
    added = store.take(grown.data.rows_of(ADDED))
    new = same_stones(positions.boards, added.boards) & ~same_stones(positions.boards, known.boards)
    return {
        "positions": len(komi),
        "to_old": quantiles(nearest_distances(config, old, positions, komi, run)),
        "to_grown": quantiles(nearest_distances(config, grown, positions, komi, run)),
        "found_among_added": {
            "all": float(new.mean()),
            "by_ply": {
                name: {"positions": int(part.sum()), "share": float(new[part].mean())}
                for name, part in plies_in_buckets(positions.plies).items()
                if part.any()
            },
        },
    }
