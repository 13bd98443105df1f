"""build-index: a search index over a user's own keys, or over positions of Go."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from retrieve_rl.cli.device import prepare
from retrieve_rl.cli.locate import find_built, go_config_of
from retrieve_rl.cli.options import GoChoice, Output, Place
from retrieve_rl.cli.output import print_facts, print_json
from retrieve_rl.cli.run_commands import compute
from retrieve_rl.cli.run_output import print_plan
from retrieve_rl.errors import GateError, UsageError

if TYPE_CHECKING:
    from retrieve_rl.go.config import GoConfig
    from retrieve_rl.retrieval.build import Report
    from retrieve_rl.retrieval.rows import Rows


@dataclass(frozen=True)
class OwnKeys:
    """A user's own matrix and how it is indexed."""

    keys: Annotated[
        Path | None,
        Option(metavar="FILE.npy", show_default="none", help="float32 keys, a row each."),
    ] = None
    values: Annotated[
        Path | None,
        Option(metavar="FILE.npz", show_default="none", help="Arrays with a row per key."),
    ] = None
    groups: Annotated[
        Path | None,
        Option(
            metavar="FILE.npy",
            show_default="none",
            help="The group of every key, so that a query can hide its own.",
        ),
    ] = None
    index: Annotated[
        Literal["auto", "exact", "scann"], Option(help="auto: by the number of keys.")
    ] = "auto"
    recall: Annotated[
        float, Option(min=0.0, max=1.0, help="recall@10 that ScaNN is tuned for.")
    ] = 0.95
    reorder: Annotated[
        Literal["float32", "bfloat16", "int8"],
        Option(help="How ScaNN keeps keys: 4, 2 or 1 bytes a dimension."),
    ] = "bfloat16"
    shard_rows: Annotated[
        int | None,
        Option(
            metavar="N",
            min=1,
            show_default="one shard",
            help="Rows of a shard, at most: for an index larger than one machine.",
        ),
    ] = None
    max_memory: Annotated[
        float | None,
        Option(metavar="GIB", min=0.0, show_default="what is free", help="Refuse to use more."),
    ] = None


@dataclass(frozen=True)
class Growth:
    """An index that grows: the old version stays, the new one shares its files."""

    add: Annotated[
        list[Path] | None,
        Option(
            metavar="PATH",
            show_default="none",
            help="With --task: SGF records whose games join the index; repeat. With --keys: the"
            " index they join.",
        ),
    ] = None
    to: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            file_okay=False,
            show_default="the task's own index",
            help="With --task and --add: the run of an earlier --add that grows.",
        ),
    ] = None
    positions: Annotated[
        int | None,
        Option(
            metavar="N",
            min=1,
            show_default="all",
            help="With --task and --add: so many positions, in games drawn by the seed.",
        ),
    ] = None


def build_index(
    output: Output,
    own: OwnKeys,
    growth: Growth,
    choice: GoChoice,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR|FILE",
            show_default="none",
            help="Where the index of your keys goes; with --task, a copy of the result's JSON.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check the input and print what would be done.")
    ] = False,
    force: Annotated[bool, Option("--force", help="Build again what is there.")] = False,
) -> None:
    """Build a search index over your own keys, or over the positions of Go games.

    With --keys the index is a folder; its report is in MANIFEST.json. With
    --task games are read, an encoder is trained, and the activations of its last
    layer with a board, projected, are a position's key; the result says how good
    the neighbors are. The same command again goes on where it was stopped. Exits 6
    where the recall is missed.

    With --task and --add games join the index of a finished run: nothing is
    trained, and the new version lies in the folder that is printed.
    """
    if choice.task is None:
        if own.keys is not None and choice != GoChoice(runs=choice.runs):
            raise UsageError(
                "--preset, --seed, --set, --games and --device are of games: with --task NAME"
            )
        _index_matrix(own, growth, out, output, dry_run=dry_run, force=force)
        return
    if own != OwnKeys():
        raise UsageError(
            "--task makes keys of its own: leave out the options of --keys, and set those of the"
            " index as in --set index.wanted_recall=0.9"
        )
    if out is not None and out.is_dir():
        raise UsageError(f"--out {out} is a folder: with --task, name a file for the result's JSON")
    config = go_config_of(choice)
    place = Place(choice.device, choice.runs, out, dry_run, force)
    if growth != Growth():
        _add_games(config, growth, choice, place, output)
        return
    if dry_run:
        print_plan("build-index", config, place.root, output)
        return
    prepare(place.device)
    from retrieve_rl.go import build_index as pipeline

    finished = compute("build-index", pipeline.build_index, config, place.root, place, output)
    check_recall(finished.result.summary["recall_at_10"], config.index.wanted_recall)


def _add_games(
    config: "GoConfig", growth: Growth, choice: GoChoice, place: Place, output: Output
) -> None:
    if not growth.add:
        raise UsageError("--to and --positions say how --add PATH adds games: give it, too")
    built_run = find_built(config, choice, place.root)
    if not place.dry_run:
        prepare(place.device)
    from retrieve_rl.go.add_games import add_games, determined_by
    from retrieve_rl.go.additions import additions

    asked = additions(growth.add, growth.positions)
    beside = determined_by(asked, built_run, growth.to)
    if place.dry_run:
        print_plan("build-index", config, place.root, output, beside)
        return
    run_fn = partial(add_games, asked=asked, to=growth.to)
    finished = compute("build-index", run_fn, config, place.root, place, output, beside)
    _check_recalls((finished.result.retrieval or {})["index"])


def _check_recalls(report: "Report") -> None:
    """Also of what was added. Raises GateError."""
    check_recall(report["recall_at_10"], report["wanted_recall"])
    check_recall(report.get("added_recall_at_10", 1.0), report["wanted_recall"])


def check_recall(found: float, wanted: float) -> None:
    """Raises GateError where the index finds too few of the true neighbors."""
    if found < wanted:
        raise GateError(
            f"recall@10 is {found:.3f}, {wanted:g} was wanted:"
            " the index is kept; try to reorder with float32, or an exact index"
        )


def _index_matrix(
    own: OwnKeys,
    growth: Growth,
    out: Path | None,
    output: Output,
    *,
    dry_run: bool,
    force: bool,
) -> None:
    if own.keys is None or out is None:
        raise UsageError("build-index needs --keys FILE.npy and --out DIR, or --task NAME")
    if growth.to or growth.positions or len(growth.add or ()) > 1:
        raise UsageError("--to, --positions and several --add are of games: with --task NAME")
    plain = OwnKeys()
    chosen = ("index", "recall", "reorder", "shard_rows")
    own_choice = any(getattr(own, name) != getattr(plain, name) for name in chosen)
    if growth.add and (own_choice or dry_run or force):
        raise UsageError("--add takes its choices from the index it adds to")
    from retrieve_rl.retrieval import build, resources
    from retrieve_rl.signals import stop_on_signals

    rows = _read(own.keys, own.values, own.groups)
    options = build.IndexOptions(
        kind=None if own.index == "auto" else own.index,
        wanted_recall=own.recall,
        reorder=own.reorder,
        shard_rows=own.shard_rows,
        max_memory=None if own.max_memory is None else own.max_memory * resources.GIB,
    )
    if dry_run:
        plan = build.plan(rows, options)
        return print_json(plan) if output.as_json else print_facts("dry run", plan)
    with stop_on_signals() as stop:
        reporter = output.reporter
        if growth.add:
            limit = options.max_memory
            report = build.add_to_memory(
                growth.add[0], rows, out, max_memory=limit, reporter=reporter, stop=stop
            )
        else:
            report = build.build_memory(
                rows, out, options, reporter=reporter, stop=stop, force=force
            )
    _print(report, out, output)
    _check_recalls(report)


def _read(keys: Path, values: Path | None, groups: Path | None) -> "Rows":
    from retrieve_rl.retrieval.array_files import open_array, open_arrays
    from retrieve_rl.retrieval.keys import open_keys
    from retrieve_rl.retrieval.rows import Rows

    matrix = open_keys(keys)
    columns = {} if values is None else open_arrays(values)
    return Rows(matrix, columns, None if groups is None else open_array(groups))


def _print(report: "Report", out: Path, output: Output) -> None:
    if output.as_json:
        output.reporter.say(str(out))
        print_json(report)
    else:
        print(out)
        print_facts("build-index", report)
