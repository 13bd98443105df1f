"""The commands that look and change nothing: list, show, verify, doctor."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from retrieve_rl.cli.options import DEFAULT_ROOT, Output, Root
from retrieve_rl.cli.output import print_csv, print_facts, print_json, print_table
from retrieve_rl.cli.run_output import headline, title_of
from retrieve_rl.errors import DataError, MissingDependencyError, UsageError


class Listed(StrEnum):
    """What `rrl list` can list."""

    TASKS = "tasks"
    PRESETS = "presets"
    ARMS = "arms"
    STUDIES = "studies"
    RUNS = "runs"


def list_names(
    output: Output,
    what: Annotated[
        Listed | None, Argument(metavar="tasks|presets|arms|studies|runs", show_default="all five")
    ] = None,
    runs: Root = None,
    where: Annotated[
        list[str] | None,
        Option(
            metavar="KEY=VALUE",
            show_default="all",
            help="Only runs with this value, of a column or any config key; repeat.",
        ),
    ] = None,
    csv: Annotated[bool, Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """List the tasks, presets, arms and studies there are, and the runs with their scores."""
    from retrieve_rl.cli import listing

    if where and what is not Listed.RUNS:
        raise UsageError("--where chooses among runs: rrl list runs --where KEY=VALUE")
    if csv and (what is None or output.as_json):
        raise UsageError("--csv prints one table, without --json: rrl list runs --csv")

    makers = {
        Listed.TASKS: listing.tasks,
        Listed.PRESETS: listing.presets,
        Listed.ARMS: listing.arms,
        Listed.STUDIES: listing.studies,
        Listed.RUNS: lambda: listing.runs(runs or DEFAULT_ROOT, where or ()),
    }
    found = {kind.value: makers[kind]() for kind in (makers if what is None else [what])}
    if output.as_json:
        print_json(found)
        return
    for kind, rows in found.items():
        if csv:
            print_csv(rows)
        elif rows:
            print_table(kind, list(rows[0]), [list(row.values()) for row in rows])
        else:
            print(f"no {kind}")


def show(
    run: Annotated[Path, Argument(metavar="RUN", help="A run's folder, or its result.json.")],
    output: Output,
) -> None:
    """Show a finished run: its summary, timings, inputs and last metrics."""
    from retrieve_rl.cli import listing
    from retrieve_rl.results import read_result

    folder = run.parent if run.name == "result.json" else run
    result = read_result(folder)
    metrics = listing.last_metrics(folder)
    if output.as_json:
        document = result.model_dump(mode="json")
        print_json({"folder": str(folder), "result": document, "metrics": metrics})
        return
    print(folder)
    print_facts(title_of(result), headline(result.summary))
    print_facts("timings", result.timings)
    print_facts("inputs", result.inputs)
    if metrics:
        rows = [[line.get(name) for name in metrics[-1]] for line in metrics]
        print_table("last metrics", list(metrics[-1]), rows)


def verify(
    path: Annotated[
        Path,
        Argument(metavar="PATH", help="A run, checkpoint, memory or data set, or a folder above."),
    ],
    output: Output,
) -> None:
    """Check every byte of artifacts and results, at a path and below it."""
    from retrieve_rl.cli.listing import check_artifacts

    report = check_artifacts(path)
    if output.as_json:
        print_json(report)
    else:
        print_facts(f"{path}", report)
    if report["damaged"]:
        raise DataError(
            f"{len(report['damaged'])} of {report['artifacts'] + report['results']} are damaged: "
            + "; ".join(report["damaged"])
        )


def doctor(output: Output, runs: Root = None) -> None:
    """Check what this program needs: packages, devices, environments, disk."""
    from retrieve_rl.doctor import examine

    report = examine(runs or DEFAULT_ROOT)
    if output.as_json:
        print_json(report)
    else:
        print_facts("doctor", report)
    if report["problems"]:
        raise MissingDependencyError("; ".join(report["problems"]))
