"""evaluate --opponent: a trained policy of Go plays an engine."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from retrieve_rl.cli.device import prepare
from retrieve_rl.cli.locate import Trained, find_trained, status_of
from retrieve_rl.cli.options import Choice, MatchChoice, Output, Place, PlayChoice
from retrieve_rl.cli.partial import keep_partial
from retrieve_rl.cli.run_output import check_gate, print_dry_run, print_result
from retrieve_rl.errors import UsageError

if TYPE_CHECKING:
    from retrieve_rl.go.agent import AgentConfig
    from retrieve_rl.go.config import GoConfig
    from retrieve_rl.go.match_config import MatchConfig

DEFAULT_GAMES = 100


def play_match(
    run: Path | None,
    choice: Choice,
    play: PlayChoice,
    match: MatchChoice,
    index: Path | None,
    place: Place,
    output: Output,
    fail_under: float | None,
) -> None:
    """Plays the match, or finds it played, and prints its result.

    Raises:
      GateError: too many games are void, or the score is below `fail_under`.
    """
    games = _number_of(choice)
    trained = find_trained(run, dataclasses.replace(choice, games=None), place.runs)
    config = _config(trained, games, play, match, index)
    folder = match_folder(config, trained.root)
    if place.dry_run:
        plan = {
            "command": "evaluate",
            "folder": str(folder),
            "status": status_of(folder),
            "config": config.model_dump(mode="json"),
        }
        print_dry_run(plan, output)
        return
    prepare(place.device)
    from retrieve_rl.go.evaluate_match import evaluate_match
    from retrieve_rl.go.match_games import played_games_of
    from retrieve_rl.go.match_statistics import check_voids
    from retrieve_rl.runs import carry_out, new_force
    from retrieve_rl.signals import stop_on_signals

    run_fn = partial(evaluate_match, trained=trained.folder, version=index)
    reporter = output.reporter
    with stop_on_signals() as stop, keep_partial(folder, "evaluate", config):
        force = new_force() if place.force else None
        finished = carry_out(run_fn, config, folder, trained.root, reporter, stop, force=force)
    if not finished.computed:
        reporter.say("this match was already played; --force starts over")
    print_result(finished, place, output)
    remedy = "--force plays the whole match again"
    check_voids(played_games_of(finished.result.outcomes), remedy=remedy)
    check_gate(finished.result, fail_under)


def go_config_in(trained: Trained) -> "GoConfig":
    """What a policy of Go was trained with. Raises UsageError for one of Re:Frame."""
    if trained.config.paper != "go":
        raise UsageError(f"{trained.folder} is a policy of {trained.config.task}, which is not Go")
    return trained.config


def agent_config_of(config: "GoConfig", play: PlayChoice) -> "AgentConfig":
    """How the policy plays. Raises UsageError."""
    from retrieve_rl.go.match_config import agent_config

    return agent_config(config, **dataclasses.asdict(play))


def match_folder(config: "MatchConfig", root: Path) -> Path:
    """Where a match lies: beside the judgments on held-out games."""
    from retrieve_rl.go.match_config import match_hash
    from retrieve_rl.results import run_folder

    trained = config.trained
    return run_folder(
        root,
        "evaluate",
        task=trained.task,
        arm=trained.arm,
        preset=trained.preset,
        seed=trained.seed,
        config_hash=match_hash(config),
    )


def _config(
    trained: Trained, games: int, play: PlayChoice, match: MatchChoice, index: Path | None
) -> "MatchConfig":
    from retrieve_rl.go.match_config import match_of

    config = go_config_in(trained)
    return match_of(
        config,
        trained.folder,
        agent_config_of(config, play),
        opponent=match.opponent or "",
        games=games,
        openings=match.openings,
        half=match.opening_set,
        move_seconds=match.move_seconds,
        version=index,
    )


def _number_of(choice: Choice) -> int:
    """--games as a number. Raises UsageError."""
    if choice.games is None:
        return DEFAULT_GAMES
    text = str(choice.games)
    if not text.isdecimal() or int(text) == 0 or int(text) % 2:
        raise UsageError(
            f"--games {text}: with --opponent it is how many games to play, an even number; name"
            " the RUN where it was trained on records of your own"
        )
    return int(text)
