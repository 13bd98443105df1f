"""report: a page about runs and studies."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from retrieve_rl.cli.options import DEFAULT_ROOT, Output, Root
from retrieve_rl.cli.output import print_json


def report(
    targets: Annotated[
        list[str],
        Argument(
            metavar="RUN|STUDY...",
            help="Folders of finished runs, or studies: by name, by that of a report that was"
            " narrowed (memory-size-smoke), or by the JSON of rrl ablate.",
        ),
    ],
    output: Output,
    out: Annotated[
        Path, Option(metavar="DIR", file_okay=False, help="Where the report goes.")
    ] = Path("report"),
    runs: Root = None,
) -> None:
    """Write a page about runs and studies: Markdown, and one HTML file that needs no other.

    Tables, figures (PNG and SVG), learning curves, boards that rrl neighbors
    drew, and the commands and versions that made them. All of it comes from
    finished results; nothing is computed.
    """
    from retrieve_rl.report.write import write_report

    written = write_report(targets, runs or DEFAULT_ROOT, out)
    if output.as_json:
        print_json({"command": "report", "files": [str(path) for path in written]})
        return
    print(*written, sep="\n")
