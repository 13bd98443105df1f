"""`rrl data`: make, import, list and describe data sets."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from retrieve_rl.cli.options import Force, Output, flat
from retrieve_rl.cli.output import print_facts, print_json, print_table

_COLUMNS = ("id", "made", "family", "episodes", "steps", "bytes", "path")

data_app = typer.Typer(
    help="Make, import, list and describe data sets.",
    epilog="Example: rrl data make hopper-medium",
)


@data_app.callback(invoke_without_command=True)
def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


def make(
    name: Annotated[str, Argument(metavar="NAME", help="As in `rrl data list`, or hopper-medium.")],
    output: Output,
    workers: Annotated[
        int | None, Option(min=1, show_default="one per core", help="Processes to make it with.")
    ] = None,
    force: Force = False,
) -> None:
    """Make a bundled data set on this machine, where it is not there yet."""
    from retrieve_rl.reframe import datasets
    from retrieve_rl.signals import stop_on_signals

    with stop_on_signals() as stop:
        made = datasets.make(name, output.reporter, workers=workers, force=force, stop=stop)
    _print_stats(made, output)


def import_file(
    file: Annotated[Path, Argument(metavar="FILE.hdf5", help="observations, actions, ...")],
    output: Output,
    name: Annotated[
        str | None,
        Option(metavar="NAME", show_default="the file's", help="Its id becomes d4rl/NAME."),
    ] = None,
) -> None:
    """Keep a verified copy of a D4RL file, to be used as --dataset d4rl/NAME."""
    from retrieve_rl.reframe import datasets
    from retrieve_rl.signals import stop_on_signals

    with stop_on_signals() as stop:
        imported = datasets.import_d4rl(file, output.reporter, name=name, stop=stop)
    _print_stats(imported, output)


def list_datasets(output: Output) -> None:
    """List the data sets on this machine, and the bundled ones that can be made."""
    from retrieve_rl.reframe import datasets

    found = datasets.local_datasets()
    if output.as_json:
        print_json({"datasets": found})
    else:
        rows = [[row[column] for column in _COLUMNS] for row in found]
        print_table("data sets", _COLUMNS, rows)


def stats(
    name: Annotated[str, Argument(metavar="ID|FILE.hdf5", help="As in `rrl data list`.")],
    output: Output,
) -> None:
    """Describe a data set that is on this machine: returns, lengths, hash."""
    from retrieve_rl.reframe import datasets

    _print_stats(datasets.load(name, output.reporter, make_missing=False), output)


def _print_stats(episodes: Any, output: Output) -> None:
    from retrieve_rl.reframe import datasets

    facts = datasets.stats(episodes)
    if output.as_json:
        print_json(facts)
    else:
        print_facts(facts["id"], facts)


data_app.command("make", epilog="Example: rrl data make hopper-medium --workers 2")(flat(make))
data_app.command(
    "import", epilog="Example: rrl data import ~/hopper_medium-v2.hdf5 --name hopper-medium"
)(flat(import_file))
data_app.command("list", epilog="Example: rrl data list --json")(flat(list_datasets))
data_app.command("stats", epilog="Example: rrl data stats rrl/hopper/medium-v0")(flat(stats))
