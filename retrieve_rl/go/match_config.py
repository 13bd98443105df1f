"""What a match of a trained policy is played with."""

from pathlib import Path

from pydantic import Field

from retrieve_rl.config import Strict, digest
from retrieve_rl.errors import UsageError
from retrieve_rl.go.agent import AgentConfig
from retrieve_rl.go.choices import NeighborKind, OpeningHalf, PlayerKind
from retrieve_rl.go.config import RESULTS_VERSION, GoConfig
from retrieve_rl.go.openings import (
    OpeningSet,
    default_openings,
    read_openings,
    split_openings,
)
from retrieve_rl.go.points import moves_of, text_of
from retrieve_rl.go.policy import policy_digest
from retrieve_rl.go.search import SearchConfig
from retrieve_rl.go.versions import version_digest
from retrieve_rl.results import read_result

KOMI = 7.0
"""Of the bundled games, and of matches."""
MOVE_SECONDS = 10.0


class MatchConfig(Strict):
    """A match, whole.

    Attributes:
      trained: what the policy was trained with.
      policy: the digest of its checkpoint.
      index: the digest of its index, asked or not; None for a policy trained without neighbors.
      agent: how the policy plays.
      opponent: a command line.
      openings, first_seed: see `OpeningSet`; openings as vertices.
      games: how many.
      komi: points given to White.
      move_seconds: what one move of the opponent is meant to take; see `TimeLimits`.
    """

    trained: GoConfig
    policy: str
    index: str | None
    agent: AgentConfig
    opponent: str
    openings: tuple[str, ...]
    first_seed: int
    games: int
    komi: float = KOMI
    move_seconds: float = Field(MOVE_SECONDS, gt=0.0)

    @property
    def seed(self) -> int:
        """Of the training run."""
        return self.trained.seed

    @property
    def opening_set(self) -> OpeningSet:
        return OpeningSet(tuple(map(moves_of, self.openings)), self.first_seed)


def match_hash(config: MatchConfig) -> str:
    """Hash of all that determines a match; the policy's digest stands for its training."""
    facts = config.model_dump(mode="json", exclude={"trained"})
    return digest({"results_version": RESULTS_VERSION, **facts})


def match_of(
    trained: GoConfig,
    folder: Path,
    agent: AgentConfig,
    *,
    opponent: str,
    games: int,
    openings: Path | None = None,
    half: OpeningHalf = "scoring",
    move_seconds: float = MOVE_SECONDS,
    version: Path | None = None,
) -> MatchConfig:
    """The match of the policy that was trained in `folder`.

    Args:
      openings: see `openings_of`.
      version: of its index, to be asked in its place.

    Raises:
      DataError: the training is not finished, or there is no such version, or no such openings.
    """
    chosen, first_seed = openings_of(openings, half)
    own = (read_result(folder).retrieval or {}).get("sha256")
    return MatchConfig(
        trained=trained,
        policy=policy_digest(trained, folder),
        index=own if version is None else version_digest(version),
        agent=agent,
        opponent=opponent,
        openings=chosen,
        first_seed=first_seed,
        games=games,
        move_seconds=move_seconds,
    )


def openings_of(file: Path | None, half: OpeningHalf) -> tuple[tuple[str, ...], int]:
    """One half of the openings, as vertices, and its first seed.

    Games from the half "adding" may grow an index: those from the other are none of them.

    Args:
      file: of openings; None for what the bundled games have in common.

    Raises:
      DataError: the file cannot be read, or holds too few.
    """
    openings = default_openings() if file is None else read_openings(file)
    adding, scoring = split_openings(openings)
    chosen = scoring if half == "scoring" else adding
    return tuple(map(text_of, chosen.openings)), chosen.first_seed


def agent_config(
    trained: GoConfig,
    *,
    player: PlayerKind = "puct",
    simulations: int | None = None,
    neighbors: NeighborKind | None = None,
    num_neighbors: int | None = None,
) -> AgentConfig:
    """How a policy plays where only some of it is said; the rest is as it was trained.

    Args:
      simulations: 0 for the prior alone.

    Raises:
      UsageError: simulations without a search, or neighbors of a policy trained without.
    """
    if player == "prior" and simulations:
        raise UsageError("the prior alone makes no simulations: leave out --simulations")
    if simulations == 0:
        player = "prior"
    search = SearchConfig(player=player)
    if simulations:
        search = search.model_copy(update={"num_simulations": simulations})
    if not trained.retrieves and (num_neighbors is not None or neighbors not in (None, "none")):
        raise UsageError(f"this policy ({trained.arm}) was trained without neighbors: name none")
    return AgentConfig(
        search=search,
        neighbors=neighbors or ("nearest" if trained.retrieves else "none"),
        num_neighbors=num_neighbors or trained.retrieval.num_neighbors,
    )
