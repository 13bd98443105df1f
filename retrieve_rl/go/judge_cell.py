"""How a study judges a policy: on held-out games, or by a match, its memory grown or not."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.go.add_games import add_games, judge_versions
from retrieve_rl.go.additions import additions
from retrieve_rl.go.agent import AgentConfig
from retrieve_rl.go.built import open_built
from retrieve_rl.go.choices import OpeningHalf
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.evaluate_match import evaluate_match
from retrieve_rl.go.evaluate_policy import evaluate
from retrieve_rl.go.match_config import MatchConfig, agent_config, match_hash, match_of
from retrieve_rl.go.match_games import PlayedGame, played_games_of
from retrieve_rl.go.match_statistics import check_voids
from retrieve_rl.go.played_positions import played_positions
from retrieve_rl.go.set_distances import as_played, distances_to_sets
from retrieve_rl.go.sources import locate
from retrieve_rl.go.versions import open_version
from retrieve_rl.results import Run, RunResult, read_result, write_result

_ADDING, _GROWN = "adding", "grown"


class Growth(NamedTuple):
    """Games that joined the memory before the match.

    Attributes:
      version: where the grown index lies.
      result: of adding them.
      seconds: that their own match took.
    """

    version: Path
    result: RunResult
    seconds: float


def judge_cell(config: GoConfig, run: Run, *, trained: Path) -> RunResult:
    """Judges the policy of the training run in `trained` as `config.play` says.

    A match and all that leads to it lie in the run's folder, and go on where they were stopped.

    Raises:
      UsageError: a memory is to grow that the policy does not have, or neighbors are asked for.
      DataError: records are missing, or hold too few positions; the folder has games of a policy
        that was trained anew since.
      GateError: too many games of a match are void.
      MissingDependencyError: no such engine.
      Interrupted: a signal asked to stop.
    """
    if not config.plays:
        return evaluate(config, run, trained=trained)
    growth = _grow(config, run, trained)
    version = growth.version if growth else None
    match = _match_of(config, trained, games=config.play.games, version=version)
    result = _play(match, run, trained, version)
    if growth is None:
        return result
    began = time.perf_counter()
    told = _told_of_growth(config, run, growth, played_games_of(result.outcomes))
    seconds = {
        "play_seconds": result.timings["play_seconds"] + growth.seconds,
        "evaluate_seconds": time.perf_counter() - began,
    }
    return result.model_copy(
        update={
            "retrieval": {**(result.retrieval or {}), "growth": told},
            "timings": {**result.timings, **seconds},
        }
    )


def _grow(config: GoConfig, run: Run, trained: Path) -> Growth | None:
    """The version of the policy's index that the match is played with; None for its own."""
    play = config.play
    if play.grows_by == "nothing":
        return None
    if not config.retrieves:
        raise UsageError(f"{config.arm} has no memory that could grow: set play.grows_by = nothing")
    seconds = 0.0
    if play.grows_by == "own games":
        place = run.folder / _ADDING
        playing = Run(place, run.root, run.reporter, run.stop)
        match = _match_of(config, trained, games=play.added_from, half="adding")
        played = _once(place, lambda: _play(match, playing, trained))
        if played.config_hash != match_hash(match):
            raise DataError(
                f"{place} holds another match, as of the policy before it was trained anew: remove"
                f" {run.folder} and run again"
            )
        records, seconds = place / "games", played.timings["play_seconds"]
    else:
        assert play.other_games is not None
        records = locate(play.other_games.file, play.other_games.sha256, config.data.folder)
    place = run.folder / _GROWN
    asked = additions([records], play.added_positions)
    adding = Run(place, run.root, run.reporter, run.stop)
    result = _once(place, lambda: add_games(config, adding, asked=asked, to=None))
    return Growth(place, result, seconds)


def _match_of(
    config: GoConfig,
    trained: Path,
    *,
    games: int,
    half: OpeningHalf = "scoring",
    version: Path | None = None,
) -> MatchConfig:
    return match_of(
        config,
        trained,
        _agent(config),
        opponent=config.play.opponent,
        games=games,
        half=half,
        move_seconds=config.play.move_seconds,
        version=version,
    )


def _play(match: MatchConfig, run: Run, trained: Path, version: Path | None = None) -> RunResult:
    result = evaluate_match(match, run, trained=trained, version=version)
    remedy = (
        f'remove the files of the void games, those with "outcome": null, from'
        f" {run.folder / 'games'} and run again"
    )
    check_voids(played_games_of(result.outcomes), remedy=remedy)
    return result


def _agent(config: GoConfig) -> AgentConfig:
    play = config.play
    return agent_config(
        config,
        player=play.player,
        simulations=None if play.player == "prior" else play.simulations,
        neighbors=play.neighbors,
        num_neighbors=play.num_neighbors,
    )


def _told_of_growth(
    config: GoConfig, run: Run, growth: Growth, played: Sequence[PlayedGame]
) -> dict[str, Any]:
    """The curves of Figure 6a, over the positions of the match; all ask as the policy does."""
    built = open_built(config, run.root)
    grown = open_version(config, built, growth.version)
    added = growth.result
    return {
        "added": added.inputs["added"],
        "distances": judge_versions(as_played(config), built, grown, run),
        "played": distances_to_sets(config, built, grown, played_positions(played), run),
    }


def _once(place: Path, compute: Any) -> RunResult:
    """The result that is at `place`, or what is computed and kept there."""
    if (place / "result.json").exists():
        return read_result(place)
    result: RunResult = compute()
    write_result(place, result)
    return result
