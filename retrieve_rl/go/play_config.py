"""The section of a Go config that says what match a study plays with a trained policy."""

from typing import Literal

from pydantic import Field, model_validator

from retrieve_rl.config import Strict
from retrieve_rl.go.choices import NeighborKind, PlayerKind


class RecordsConfig(Strict):
    """A file or folder of game records below `data.folder`."""

    file: str
    sha256: str
    """See `digest_of_records`."""


class PlayConfig(Strict):
    """A match after the training; no policy and no index depends on it.

    Humphreys et al. 2022, Figure 6: with `grows_by`, games join the retrieval set before the match,
    and nothing is trained. Openings and seeds of the games that are added are never those of the
    match.
    """

    opponent: str = ""
    """Command line of an engine of the Go Text Protocol; empty: no match, the policy is judged on
    held-out games."""
    games: int = Field(100, ge=2, multiple_of=2)
    player: PlayerKind = "puct"
    simulations: int = Field(200, ge=0)
    """0: the prior alone, as with `player = "prior"`, which makes none."""
    neighbors: NeighborKind | None = None
    """What the root hears of; by default what the policy was trained with."""
    num_neighbors: int | None = Field(None, ge=1)
    move_seconds: float = Field(10.0, gt=0.0)
    grows_by: Literal["nothing", "own games", "other games"] = "nothing"
    """Own games: of this player against this opponent. Other games: from `other_games`."""
    added_positions: int = Field(2600, ge=1)
    """How many positions join the set, in whole games but the last; about 1% of `go9`."""
    added_from: int = Field(60, ge=2, multiple_of=2)
    """Games of its own that are played for them."""
    other_games: RecordsConfig | None = None

    @model_validator(mode="after")
    def _other_games_are_named(self) -> "PlayConfig":
        if self.grows_by == "other games" and self.other_games is None:
            raise ValueError('play.grows_by = "other games" needs play.other_games')
        return self

    @model_validator(mode="after")
    def _what_grows_plays(self) -> "PlayConfig":
        if self.grows_by != "nothing" and not self.opponent:
            raise ValueError(f'play.grows_by = "{self.grows_by}" needs play.opponent')
        return self
