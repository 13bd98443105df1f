"""What the games of a match say: the player's score and how sure it is."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from retrieve_rl.errors import GateError
from retrieve_rl.go.digests import game_digest
from retrieve_rl.go.endings import VOIDS
from retrieve_rl.go.match_games import PlayedGame
from retrieve_rl.go.points import moves_of
from retrieve_rl.go.sgf import game_of_moves, parse_result
from retrieve_rl.statistics import elo

MAX_VOID_SHARE = 0.05
_RESAMPLES = 2000


def summarize(played: Sequence[PlayedGame]) -> dict[str, Any]:
    """The numbers of a match, as strict JSON, seen by the player (not the opponent).

    Void games count for nobody. The score is wins and half the draws over the games that count;
    its 95% interval comes from resampling openings, with all games from each (bootstrap, seed 0).
    Elo is the difference of ratings that the score stands for, None where it is infinite.
    """
    games = [game for game in played if game.score is not None]
    scores = np.array([game.score for game in games], np.float64)
    score = float(scores.mean()) if games else None
    interval = score_interval(scores, np.array([game.game.opening_number for game in games], int))
    return {
        "games": len(played),
        "void": len(played) - len(games),
        "void_share": (len(played) - len(games)) / max(len(played), 1),
        "wins": int((scores == 1).sum()),
        "draws": int((scores == 0.5).sum()),
        "losses": int((scores == 0).sum()),
        "score": score,
        "score_interval": interval,
        "elo": None if score is None else elo(score),
        "elo_interval": None if interval is None else [elo(end) for end in interval],
        "by_color": {
            color: _mean(
                [game.score for game in games if game.game.player_is_black == (color == "black")]
            )
            for color in ("black", "white")
        },
        "labels": dict(sorted(Counter(game.label.value for game in played).items())),
        "faults": {
            side: _faults(played, of_player)
            for side, of_player in (("player", True), ("opponent", False))
        },
        "distinct_games": len({game_digest(game_of_moves(moves_of(g.moves))) for g in games}),
        "mean_plies": _mean([len(game.moves.split()) for game in games]),
        "final_score": dict(sorted(Counter(_claims_compared(played)).items())),
    }


def score_interval(
    scores: Float[np.ndarray, " G"], openings: Int[np.ndarray, " G"]
) -> list[float] | None:
    """95% percentile interval of the mean score, openings drawn with replacement; None for no
    games.

    Args:
      openings: the number of each game's opening; games from one stay together.
    """
    if len(scores) == 0:
        return None
    _, rows = np.unique(openings, return_inverse=True)
    totals, counts = np.bincount(rows, scores), np.bincount(rows)
    drawn = np.random.default_rng(0).integers(0, len(counts), (_RESAMPLES, len(counts)))
    means = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return [float(end) for end in np.quantile(means, [0.025, 0.975])]


def check_voids(played: Sequence[PlayedGame], *, remedy: str) -> None:
    """Raises GateError, which ends with the remedy, where more than MAX_VOID_SHARE are void."""
    voids = [game for game in played if game.label in VOIDS]
    if len(voids) > MAX_VOID_SHARE * len(played):
        raise GateError(
            f"{len(voids)} of {len(played)} games are void, more than {MAX_VOID_SHARE:.0%}: the"
            f" match says little; the last one: {voids[-1].label}, {voids[-1].detail}; {remedy}"
        )


def _faults(played: Sequence[PlayedGame], of_player: bool) -> dict[str, int]:
    """How often a side failed, by label; resignations are no failures."""
    counts = Counter(
        game.label.value
        for game in played
        if game.at_fault is not None
        and game.label != "resign"
        and (game.game.player_is_black == (game.at_fault == "black")) == of_player
    )
    return dict(sorted(counts.items()))


def _claims_compared(played: Sequence[PlayedGame]) -> list[str]:
    """For every result that a player named: whether it is the referee's."""
    found = []
    for game in played:
        for claim in game.claims.values():
            outcome, margin = parse_result(claim)
            if outcome != game.outcome:
                found.append("other_winner")
            else:
                found.append("agrees" if margin == game.margin else "other_margin")
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    return float(np.mean([value for value in values if value is not None])) if values else None
