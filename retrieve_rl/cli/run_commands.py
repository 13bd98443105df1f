"""The commands that compute one run."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from retrieve_rl.cli.device import prepare
from retrieve_rl.cli.locate import (
    config_of,
    find_trained,
    folder_of,
    reframe_config_of,
    with_episodes,
)
from retrieve_rl.cli.options import (
    Choice,
    Devices,
    FailUnder,
    GrownIndex,
    MatchChoice,
    Output,
    Place,
    PlayChoice,
)
from retrieve_rl.cli.papers import evaluation, paper_named, training
from retrieve_rl.cli.partial import keep_partial
from retrieve_rl.cli.run_output import check_gate, print_plan, print_result
from retrieve_rl.errors import UsageError

if TYPE_CHECKING:
    from retrieve_rl.go.config import GoConfig
    from retrieve_rl.reframe.config import ReframeConfig
    from retrieve_rl.results import RunResult
    from retrieve_rl.runs import Finished, RunFn


def train_amb(choice: Choice, place: Place, output: Output) -> None:
    """Train the memory of expert trajectories alone (stage 1 of Re:Frame).

    Makes the data it does not find. train-policy does this by itself.
    """
    config = reframe_config_of(choice)
    if place.dry_run:
        print_plan("train-amb", config, place.root, output)
        return
    prepare(place.device)
    from retrieve_rl.reframe import memory

    compute("train-amb", memory.train_amb, config, place.root, place, output)


def train_policy(
    choice: Choice,
    place: Place,
    output: Output,
    devices: Devices = 1,
    fail_under: FailUnder = None,
) -> None:
    """Train a policy and evaluate its last checkpoint.

    Makes the data and the memory or the index it does not find. The same command again
    goes on where it was stopped, and does nothing where the run is finished.
    """
    config = config_of(choice)
    if place.dry_run:
        print_plan("train-policy", config, place.root, output)
        return
    prepare(place.device, devices)
    run_fn = training(config.paper)
    finished = compute("train-policy", run_fn, config, place.root, place, output, devices=devices)
    check_gate(finished.result, fail_under)


def evaluate(
    choice: Choice,
    play: PlayChoice,
    match: MatchChoice,
    place: Place,
    output: Output,
    run: Annotated[
        Path | None,
        Argument(
            metavar="RUN",
            show_default="the run of --task, --arm, ...",
            help="Folder of a train-policy run, or its result.json.",
        ),
    ] = None,
    episodes: Annotated[
        int | None, Option(min=1, show_default="as in training", help="How many to roll out.")
    ] = None,
    index: GrownIndex = None,
    fail_under: FailUnder = None,
) -> None:
    """Evaluate a finished train-policy run again.

    Name the run, or give the options it was trained with. A policy of Go is
    judged on held-out games: with its own neighbors, others, fewer and none;
    with --opponent by a match, saved game by game beside the result. It takes
    the index it was trained with, or with --index one grown from that.
    """
    if match.opponent is not None:
        if episodes is not None:
            raise UsageError("--episodes is of Re:Frame; with --opponent, --games N says how many")
        from retrieve_rl.cli.match_command import play_match

        play_match(run, choice, play, match, index, place, output, fail_under)
        return
    if (play, match) != (PlayChoice(), MatchChoice()):
        raise UsageError("--player, --simulations and the like need --opponent")
    if choice.games is not None and str(choice.games).isdecimal():
        raise UsageError(f"--games {choice.games}, a number of games, needs --opponent")
    trained = find_trained(run, choice, place.runs)
    print(trained.folder, file=sys.stderr if output.as_json else sys.stdout, flush=True)
    config = with_episodes(trained.config, episodes)
    beside, asked = _version(config, index)
    if place.dry_run:
        print_plan("evaluate", config, trained.root, output, beside)
        return
    prepare(place.device)
    run_fn = partial(evaluation(config.paper), trained=trained.folder, **asked)
    finished = compute(
        "evaluate", run_fn, config, trained.root, place, output, beside, trained=trained.folder
    )
    check_gate(finished.result, fail_under)


def _version(
    config: "ReframeConfig | GoConfig", index: Path | None
) -> tuple[dict[str, str], dict[str, Path]]:
    """What an index named by `--index` adds to the run's identity and to its arguments.

    Raises:
      UsageError: it is named for Re:Frame.
      DataError: there is none.
    """
    if index is None:
        return {}, {}
    if config.paper != "go":
        raise UsageError("--index is of Go; this run is not")
    from retrieve_rl.go.versions import version_digest

    return {"index": version_digest(index)}, {"version": index}


def compute(
    command: str,
    run_fn: "RunFn",
    config: "ReframeConfig | GoConfig",
    root: Path,
    place: Place,
    output: Output,
    beside: Mapping[str, str] | None = None,
    devices: int = 1,
    trained: Path | None = None,
) -> "Finished":
    """Does the run, or finds it done, and prints its result.

    Args:
      beside: as in `folder_of`.
      trained: the folder of the training that the run judges.
    """
    from retrieve_rl.results import read_result, retrained
    from retrieve_rl.runs import carry_out, new_force
    from retrieve_rl.signals import stop_on_signals

    folder, reporter = folder_of(command, config, root, beside), output.reporter
    paper = paper_named(config.paper)

    def changed(result: "RunResult") -> list[str]:
        of_data = paper.changed_since(config, result.inputs)
        return of_data if trained is None else [*of_data, *retrained(result, read_result(trained))]

    with stop_on_signals() as stop, keep_partial(folder, command, config):
        force = new_force() if place.force else None
        finished = carry_out(
            run_fn,
            config,
            folder,
            root,
            reporter,
            stop,
            force=force,
            devices=devices,
            changed=changed,
        )
    if not finished.computed:
        reporter.say("this run was already finished; --force starts over")
    print_result(finished, place, output)
    return finished
