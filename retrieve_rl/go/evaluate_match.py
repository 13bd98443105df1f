"""Judging a policy by its games against an engine."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieve_rl.go.agent import BATCH_SIZES, Agent
from retrieve_rl.go.config import RESULTS_VERSION
from retrieve_rl.go.gtp_engine import TimeLimits
from retrieve_rl.go.gtp_player import GtpPlayer
from retrieve_rl.go.match import play_match
from retrieve_rl.go.match_config import MatchConfig, match_hash
from retrieve_rl.go.match_games import PlannedGame, PlayedGame, plan_games
from retrieve_rl.go.match_statistics import summarize
from retrieve_rl.go.model import count_parameters
from retrieve_rl.go.open_trained import agent_of, open_trained
from retrieve_rl.go.played_positions import distances_of_played, middle_states, played_positions
from retrieve_rl.go.search_cost import search_cost
from retrieve_rl.results import CHECKPOINT, Run, RunResult, machine
from retrieve_rl.training.spent import forget_cut_lines, log_spent, spent

AT_ONCE = 32
"""Games that go on at the same time: the player moves in about half of them at once."""
_COST_POSITIONS = 16


def evaluate_match(
    config: MatchConfig, run: Run, *, trained: Path, version: Path | None = None
) -> RunResult:
    """Plays the policy of the training run in `trained` against an engine; goes on where it was
    stopped. Games are saved in `games/` below the run's folder, as JSON and SGF.

    Args:
      version: of the index the policy was trained with, to be asked in its place.

    Raises:
      UsageError: an odd number of games.
      MissingDependencyError: no such engine.
      DataError: an artifact is missing or another, or the engine is another than before.
      Interrupted: a signal asked to stop; the games that had ended are saved.
    """
    began = time.perf_counter()
    games = plan_games(config.opening_set, config.games, komi=config.komi)
    limits = TimeLimits(move=config.move_seconds)
    with GtpPlayer(config.opponent, stop=run.stop, limits=limits) as opponent:
        engine = opponent.name.removesuffix(f" ({config.opponent})")
        run.reporter.say(f"the opponent is {engine}")
        opened = open_trained(config.trained, trained, run.root, version)
        agent = agent_of(opened, trained, config.agent)
        prepared = time.perf_counter()
        played = _play(agent, opponent, games, run)
    run.reporter.say("measuring what a move costs")
    cost = _cost(agent, played)
    retrieval = _retrieval(agent, played)
    computed = machine()
    return RunResult(
        command="evaluate",
        status="ok",
        task=config.trained.task,
        arm=config.trained.arm,
        preset=config.trained.preset,
        seed=config.trained.seed,
        results_version=RESULTS_VERSION,
        config_hash=match_hash(config),
        config=config.model_dump(mode="json"),
        inputs=opened.data.facts,
        training={
            "steps": config.trained.train.steps,
            "parameters": count_parameters(opened.policy.params),
            CHECKPOINT: config.policy,
        },
        retrieval=retrieval,
        outcomes=[game.model_dump(mode="json") for game in played],
        summary=_summary(played, {"player": agent.name, "opponent": engine}),
        timings={
            "prepare_seconds": prepared - began,
            "play_seconds": spent(run.folder).seconds,
            **cost,
        },
        **{**computed, "versions": {**computed["versions"], "opponent": engine}},
    )


def _play(
    agent: Agent, opponent: GtpPlayer, games: Sequence[PlannedGame], run: Run
) -> list[PlayedGame]:
    """Plays on, and logs what that took, also where it is stopped."""
    folder = run.folder / "games"
    folder.mkdir(parents=True, exist_ok=True)
    forget_cut_lines(run.folder)
    began = time.perf_counter()
    try:
        return play_match(
            agent,
            opponent,
            games,
            folder,
            at_once=AT_ONCE,
            reporter=run.reporter,
            stop=run.stop,
        )
    finally:
        saved = sum(1 for _ in folder.glob("*.json"))
        log_spent(run.folder, saved, time.perf_counter() - began)


def _summary(played: Sequence[PlayedGame], names: dict[str, str]) -> dict[str, Any]:
    """The headline is the score with its interval over openings."""
    told = summarize(played)
    score, interval = told.pop("score"), told.pop("score_interval") or (None, None)
    spread = {"mean": score, "low": interval[0], "high": interval[1]}
    return {"measure": "score", **spread, "score": spread, **names, **told}


def _cost(agent: Agent, played: Sequence[PlayedGame]) -> dict[str, float]:
    """What a move costs while nothing else runs; empty where no game got to a move."""
    states = middle_states(played)[:_COST_POSITIONS]
    sizes = [size for size in BATCH_SIZES if size <= len(states)]
    return search_cost(agent, states[: sizes[-1]])._asdict() if sizes else {}


def _retrieval(agent: Agent, played: Sequence[PlayedGame]) -> dict[str, Any] | None:
    if agent.source is None:
        return None
    return {
        "sha256": agent.source.digest,
        "neighbors": agent.config.neighbors,
        "num_neighbors": agent.config.num_neighbors,
        "distances_of_played": distances_of_played(agent.source, played_positions(played)),
    }
