"""The `rrl` program: its commands, and where its output goes."""

import io
import sys
from typing import Annotated, TextIO

import typer

from retrieve_rl import __version__
from retrieve_rl.cli.data_commands import data_app
from retrieve_rl.cli.gtp_command import gtp
from retrieve_rl.cli.index_command import build_index
from retrieve_rl.cli.info_commands import doctor, list_names, show, verify
from retrieve_rl.cli.neighbors_command import neighbors
from retrieve_rl.cli.options import flat
from retrieve_rl.cli.report_command import report
from retrieve_rl.cli.run_commands import evaluate, train_amb, train_policy
from retrieve_rl.cli.study_commands import ablate, compare

app = typer.Typer(
    name="rrl",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: rrl train-policy --task hopper-medium --preset smoke",
)


def _example(text: str) -> str:
    return f"Example: {text}"


app.command("build-index", epilog=_example("rrl build-index --task go9 --preset smoke"))(
    flat(build_index)
)
app.command("train-amb", epilog=_example("rrl train-amb --task hopper-medium --preset smoke"))(
    flat(train_amb)
)
app.command(
    "train-policy",
    epilog=_example("rrl train-policy --task hopper-medium --arm reframe --set train.steps=100"),
)(flat(train_policy))
app.command(
    "evaluate", epilog=_example("rrl evaluate --task hopper-medium --preset smoke --episodes 20")
)(flat(evaluate))
app.command("ablate", epilog=_example("rrl ablate memory-size --task hopper-medium-replay"))(
    flat(ablate)
)
app.command("compare", epilog=_example("rrl compare RUN RUN"))(flat(compare))
app.command("report", epilog=_example("rrl report memory-size --out report"))(flat(report))
app.command("neighbors", epilog=_example("rrl neighbors --task go9 --preset smoke --row 0"))(
    flat(neighbors)
)
app.command("gtp", epilog=_example("rrl gtp runs/train-policy/go9/retrieval-smoke-s0-1a2b3c4d"))(
    flat(gtp)
)
app.add_typer(data_app, name="data")
app.command("list", epilog=_example("rrl list arms --json"))(flat(list_names))
app.command(
    "show",
    epilog=_example("rrl show runs/train-policy/hopper-medium/reframe-smoke-s0-1a2b3c4d"),
)(flat(show))
app.command("verify", epilog=_example("rrl verify runs"))(flat(verify))
app.command("doctor", epilog=_example("rrl doctor --json"))(flat(doctor))


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Reinforcement learning agents that look things up: train, judge and compare them."""
    if version:
        typer.echo(__version__)
        raise typer.Exit()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


def main() -> None:
    """Entry point of `rrl`."""
    sys.stdout = _until_reader_leaves(sys.stdout)
    sys.stderr = _until_reader_leaves(sys.stderr)
    app(prog_name="rrl")


class _PatientFile(io.FileIO):
    """Throws away what is written once nobody reads the other end of the pipe."""

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            return memoryview(data).nbytes  # type: ignore[arg-type]


def _until_reader_leaves(stream: TextIO) -> TextIO:
    """The same stream, for which `rrl ... | head` is no error: work goes on and is saved."""
    if stream is None or not isinstance(stream, io.TextIOWrapper):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_PatientFile(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )
