"""build-index: a search index over a user's own keys."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from retrieve_rl.cli.options import Output
from retrieve_rl.cli.output import print_facts, print_json
from retrieve_rl.errors import GateError, UsageError

if TYPE_CHECKING:
    from retrieve_rl.retrieval.build import Report
    from retrieve_rl.retrieval.rows import Rows


def build_index(
    output: Output,
    keys: Annotated[
        Path | None,
        Option(metavar="FILE.npy", show_default="none", help="float32 keys [rows, width]."),
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="DIR", show_default="none", help="Where the index goes.")
    ] = None,
    values: Annotated[
        Path | None,
        Option(metavar="FILE.npz", show_default="none", help="Arrays with a row per key."),
    ] = None,
    groups: Annotated[
        Path | None,
        Option(
            metavar="FILE.npy",
            show_default="none",
            help="The group of every key, so that a query can hide its own.",
        ),
    ] = None,
    add: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            show_default="none",
            help="Write a version of this index that also holds the keys.",
        ),
    ] = None,
    index: Annotated[
        Literal["auto", "exact", "scann"], Option(help="auto: by the number of keys.")
    ] = "auto",
    recall: Annotated[
        float, Option(min=0.0, max=1.0, help="recall@10 that ScaNN is tuned for.")
    ] = 0.95,
    reorder: Annotated[
        Literal["float32", "bfloat16", "int8"],
        Option(help="How ScaNN keeps keys: 4, 2 or 1 bytes a dimension."),
    ] = "bfloat16",
    max_memory: Annotated[
        float | None,
        Option(metavar="GIB", min=0.0, show_default="what is free", help="Refuse to use more."),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check the keys and print what the index needs.")
    ] = False,
    force: Annotated[bool, Option("--force", help="Build again what is there.")] = False,
) -> None:
    """Build a search index over your own keys, and measure its recall.

    The index is a folder; its report is in MANIFEST.json. The same command
    again goes on where it was stopped. Exits 6 where the recall is missed.
    """
    if keys is None or out is None:
        raise UsageError("build-index needs --keys FILE.npy and --out DIR")
    if add is not None and (index != "auto" or dry_run or force):
        raise UsageError("--add takes its choices from the index it adds to")
    from retrieve_rl.retrieval import build, resources
    from retrieve_rl.signals import stop_on_signals

    rows = _read(keys, values, groups)
    options = build.IndexOptions(
        kind=None if index == "auto" else index,
        wanted_recall=recall,
        reorder=reorder,
        max_memory=None if max_memory is None else max_memory * resources.GIB,
    )
    if dry_run:
        plan = build.plan(rows, options)
        return print_json(plan) if output.as_json else print_facts("dry run", plan)
    with stop_on_signals() as stop:
        reporter = output.reporter
        if add is not None:
            report = build.add_to_memory(add, rows, out, reporter=reporter, stop=stop)
        else:
            report = build.build_memory(
                rows, out, options, reporter=reporter, stop=stop, force=force
            )
    _print(report, out, output)
    if report["recall_at_10"] < report["wanted_recall"]:
        raise GateError(
            f"recall@10 is {report['recall_at_10']:.3f}, {report['wanted_recall']:g} was wanted:"
            f" the index is kept; try --reorder float32 or --index exact"
        )


def _read(keys: Path, values: Path | None, groups: Path | None) -> "Rows":
    import numpy as np

    from retrieve_rl.artifacts import load_arrays
    from retrieve_rl.errors import DataError
    from retrieve_rl.retrieval.keys import open_keys
    from retrieve_rl.retrieval.rows import Rows

    matrix = open_keys(keys)
    try:
        columns = {} if values is None else load_arrays(values)
        members = None if groups is None else np.load(groups, allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise DataError(f"values or groups cannot be read: {error}") from None
    return Rows(matrix, columns, members)


def _print(report: "Report", out: Path, output: Output) -> None:
    if output.as_json:
        output.reporter.say(str(out))
        print_json(report)
    else:
        print(out)
        print_facts("build-index", report)
