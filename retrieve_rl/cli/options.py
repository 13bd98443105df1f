"""The options of every command, each defined once and grouped into records."""

import dataclasses
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from typer import Option

from retrieve_rl.cli.exits import exit_codes
from retrieve_rl.go.choices import NeighborKind, OpeningHalf, PlayerKind

if TYPE_CHECKING:
    from retrieve_rl.progress import Reporter

DEFAULT_ROOT = Path("runs")

Device = Literal["auto", "cpu", "gpu"]

Force = Annotated[bool, Option("--force", help="Start over, even where the result is there.")]
Root = Annotated[
    Path | None,
    Option(
        "--runs",
        metavar="DIR",
        envvar="RRL_RUNS",
        file_okay=False,
        show_default="runs",
        help="Where runs lie.",
    ),
]
Devices = Annotated[
    int, Option("--devices", min=1, help="Devices that share every batch of the training.")
]
FailUnder = Annotated[
    float | None,
    Option(
        "--fail-under",
        metavar="X",
        min=-math.inf,  # refuses nan, which no score is below
        show_default="no threshold",
        help="Exit 6 where the mean score is below X; the result is kept.",
    ),
]


@dataclass(frozen=True)
class Choice:
    """What is computed."""

    task: Annotated[
        str | None,
        Option(metavar="NAME|FILE.toml", show_default="none", help="See `rrl list tasks`."),
    ] = None
    preset: Annotated[str, Option(metavar="NAME", help="Budget; see `rrl list presets`.")] = (
        "default"
    )
    arm: Annotated[
        str | None,
        Option(
            metavar="NAME|FILE.toml",
            show_default="reframe or retrieval",
            help="Method or control; see `rrl list arms`.",
        ),
    ] = None
    seed: Annotated[
        int,
        Option(
            min=0, help="Draws the experts, starts the training; in Go the index has its own seed."
        ),
    ] = 0
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", show_default="none", help="Any config key; repeat."),
    ] = None
    dataset: Annotated[
        str | None,
        Option(metavar="ID|FILE", show_default="the task's", help="Data set, or D4RL file."),
    ] = None
    experts: Annotated[
        str | None,
        Option(metavar="ID|FILE", show_default="of the data set's family", help="The expert data."),
    ] = None
    games: Annotated[
        Path | None,
        Option(
            metavar="PATH",
            show_default="the task's",
            help="Go: SGF records, or their folder. Of `evaluate --opponent`: how many games.",
        ),
    ] = None


@dataclass(frozen=True)
class GoChoice:
    """A task of Go and what of it is computed."""

    task: Annotated[
        str | None,
        Option(metavar="NAME|FILE.toml", show_default="none", help="A task of Go, as go9."),
    ] = None
    preset: Annotated[str, Option(metavar="NAME", help="Budget; see `rrl list presets`.")] = (
        "default"
    )
    seed: Annotated[int, Option(min=0, help="Samples positions and starts the encoder.")] = 0
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", show_default="none", help="Any config key; repeat."),
    ] = None
    games: Annotated[
        Path | None,
        Option(
            metavar="PATH",
            show_default="the bundled games",
            help="Your own SGF records, or the folder of the files the task names (or RRL_GAMES).",
        ),
    ] = None
    device: Annotated[Device, Option(help="gpu: fail where there is none.")] = "auto"
    runs: Root = None


GrownIndex = Annotated[
    Path | None,
    Option(
        "--index",
        metavar="DIR",
        file_okay=False,
        show_default="the one before any --add",
        help="Go: the run of build-index --add whose index is asked.",
    ),
]


@dataclass(frozen=True)
class PlayChoice:
    """How a policy of Go plays."""

    player: Annotated[
        PlayerKind, Option(help="Go: the paper's search, Gumbel's, or the policy alone.")
    ] = "puct"
    simulations: Annotated[
        int | None,
        Option(min=0, show_default="200", help="Go: simulations a move; 0 for the policy alone."),
    ] = None
    neighbors: Annotated[
        NeighborKind | None,
        Option(show_default="as trained", help="Go: which ones the policy hears of at play."),
    ] = None
    num_neighbors: Annotated[
        int | None, Option(min=1, show_default="as trained", help="Go: how many of them.")
    ] = None


@dataclass(frozen=True)
class MatchChoice:
    """Whom a policy of Go plays."""

    opponent: Annotated[
        str | None,
        Option(
            metavar="CMD",
            show_default="none",
            help="Go: play --games N games against this GTP engine. {seed} is the game's seed.",
        ),
    ] = None
    openings: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            dir_okay=False,
            show_default="from the bundled games",
            help="Go: openings, FILE.txt with one a line (E5 C3), or SGF; half of them score.",
        ),
    ] = None
    opening_set: Annotated[
        OpeningHalf,
        Option(help="Go: the half that scores, or the one whose games may grow an index."),
    ] = "scoring"
    move_seconds: Annotated[
        float,
        Option(
            min=0.01,
            help="Go: what a move of the opponent is meant to take; twice that and 10 s is late.",
        ),
    ] = 10.0


@dataclass(frozen=True)
class Place:
    """Where and how it is computed."""

    device: Annotated[Device, Option(help="gpu: fail where there is none.")] = "auto"
    runs: Root = None
    out: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            dir_okay=False,
            show_default="none",
            help="Also write the result's JSON here.",
        ),
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print the config and the run folder; write nothing.")
    ] = False
    force: Force = False

    @property
    def root(self) -> Path:
        return self.runs or DEFAULT_ROOT


@dataclass(frozen=True)
class Output:
    """What is printed. stdout carries the result only."""

    as_json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False
    no_progress: Annotated[bool, Option("--no-progress", help="Lines instead of bars.")] = False
    verbose: Annotated[bool, Option("--verbose", "-v", help="Details on stderr.")] = False
    quiet: Annotated[bool, Option("--quiet", "-q", help="Only errors on stderr.")] = False
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.")] = False

    @property
    def reporter(self) -> "Reporter":
        from retrieve_rl.progress import Reporter

        bars = sys.stderr.isatty() and not self.no_progress
        verbosity = -1 if self.quiet else int(self.verbose)
        return Reporter(verbosity=verbosity, bars=bars, traces=self.debug)


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer needs it: records of options spread out, errors turned to exit codes."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            record = inspect.signature(hints[name]).parameters
            parameters += record.values()
        else:
            parameters.append(parameter)

    def flattened(**given: Any) -> None:
        arguments = {}
        for name in inspect.signature(command).parameters:
            record = hints[name]
            if dataclasses.is_dataclass(record) and isinstance(record, type):
                fields = [field.name for field in dataclasses.fields(record)]
                arguments[name] = record(**{field: given[field] for field in fields})
            else:
                arguments[name] = given[name]
        with exit_codes(debug=given.get("debug", False)):
            command(**arguments)

    flattened.__name__ = command.__name__
    flattened.__doc__ = command.__doc__
    flattened.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    flattened.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    return flattened
