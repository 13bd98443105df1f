"""The commands over several runs: a study, a comparison."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from retrieve_rl.cli.device import likely_platform, prepare
from retrieve_rl.cli.options import Devices, Output, Place
from retrieve_rl.cli.output import print_json, print_table
from retrieve_rl.cli.papers import paper_named, paper_of_task
from retrieve_rl.errors import GateError, UsageError
from retrieve_rl.shown import interval_of, leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Cells = Annotated[
    Path | None,
    Option(
        "--cells",
        metavar="DIR",
        envvar="RRL_CELLS",
        file_okay=False,
        show_default="experiments/results/cells of the checkout, else cells/ beside the runs",
        help="Where finished cells are kept; what is there counts as done.",
    ),
]
_RUN = "Folder of a run of train-policy or evaluate, its result.json, or a cell's file."
_NUMBERS = ("measure", "mean", "low", "high", "episodes", "seeds", "steps")


def ablate(
    name: Annotated[str, Argument(metavar="NAME|FILE.toml", help="See `rrl list studies`.")],
    place: Place,
    output: Output,
    task: Annotated[
        str | None, Option(metavar="NAME|FILE.toml", show_default="the study's", help="One task.")
    ] = None,
    preset: Annotated[
        str | None, Option(metavar="NAME", show_default="the study's", help="Budget of a cell.")
    ] = None,
    seed: Annotated[int | None, Option(min=0, show_default="the study's", help="One seed.")] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", show_default="none", help="In every cell; repeat."),
    ] = None,
    cells: Cells = None,
    jobs: Annotated[
        int, Option(min=1, help="Cells at once; the cores are divided among them.")
    ] = 1,
    devices: Devices = 1,
    executor: Annotated[
        Literal["local", "ray"], Option(help="ray: cells are tasks of a Ray cluster.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            show_default="a cluster is started on this machine",
            help="With --executor ray: of the cluster, or auto for the one this machine is of.",
        ),
    ] = None,
) -> None:
    """Run a study, cell by cell, and compare its cells.

    A cell is a run of train-policy and its evaluation. One that is done is not
    computed again, wherever it was. Exits 6 where a cell failed.
    """
    from retrieve_rl.signals import stop_on_signals
    from retrieve_rl.study import ablate as study
    from retrieve_rl.study.execute_on_ray import run_on_ray

    if ray_address is not None and executor != "ray":
        raise UsageError("--ray-address needs --executor ray")

    asked = study.Asked(name, task, preset, seed, settings or ())
    platform = likely_platform(place.device)
    if place.dry_run:
        planned = study.plan(
            asked,
            paper_of_task,
            root=place.root,
            folder=cells,
            force=place.force,
            platform=platform,
        )
        _print_plan(planned, output)
        return
    with stop_on_signals() as stop:
        report = study.ablate(
            asked,
            paper_of_task,
            root=place.root,
            folder=cells,
            out=place.out,
            reporter=output.reporter,
            stop=stop,
            force=place.force,
            jobs=jobs,
            devices=devices,
            run_cells=partial(run_on_ray, jobs=jobs, address=ray_address)
            if executor == "ray"
            else None,
            prepare=partial(prepare, place.device, devices),
            platform=platform,
        )
    _print_report(report, output)
    if report["failed"]:
        raise GateError(f"{report['failed']} of {len(report['cells'])} cells failed")


def _print_plan(plan: "Mapping[str, Any]", output: Output) -> None:
    if output.as_json:
        print_json(plan)
        return
    from retrieve_rl.progress import in_words

    def told(seconds: float | None) -> str:
        return "unknown" if seconds is None else in_words(seconds)

    rows = [
        (cell["cell"], cell["status"], told(cell["expected_seconds"]), cell["run"])
        for cell in plan["cells"]
    ]
    columns = ("cell", "status", "time", "run")
    print_table("dry run: nothing was written", columns, rows)
    known, left = plan["expected_from"], plan["expected_seconds"]
    on = " and ".join(plan["expected_on"])
    because = f"by {known} finished cells on {on}" if known else "no cell is finished"
    print(
        f"{len(rows)} cells of preset {plan['preset']}: {plan['done']} done, {plan['to_do']} to do;"
        f" time expected, one after the other: {told(left)} ({because})"
    )


def _print_report(report: "Mapping[str, Any]", output: Output) -> None:
    if output.as_json:
        print_json(report)
        return
    from retrieve_rl.study.ablate import failed_cells

    for file in report["files"]:
        print(file)
    rows = list(leaves(report["summary"]))
    of = {numbers.get("interval") for _, numbers in rows}
    lines = [
        [" ".join(path), *(numbers.get(name) for name in _NUMBERS), _difference(numbers)]
        for path, numbers in rows
    ]
    print_table(str(report["title"]), ("cells", *_NUMBERS, "paired difference"), lines)
    _print_conditions(rows)
    print("95% intervals: " + "; ".join(sorted(filter(None, of))))
    for note in report["notes"]:
        print(note)
    if failed := failed_cells(report):
        print_table("failed cells; --debug shows their tracebacks", ("cell", "error"), failed)


def _print_conditions(rows: "Sequence[tuple[tuple[str, ...], Mapping[str, Any]]]") -> None:
    lines = [
        (" ".join(path), condition, measure, interval_of(found), _difference(found))
        for path, numbers in rows
        for condition, measures in numbers.get("conditions", {}).items()
        for measure, found in measures.items()
    ]
    if lines:
        columns = ("cells", "condition", "measure", "mean [95% interval]", "paired difference")
        print_table("under other conditions", columns, lines)


def _difference(numbers: "Mapping[str, Any]") -> str | None:
    """ "+1.2 [0.3, 2.1] to baseline"."""
    found = numbers.get("difference")
    if not found:
        return None
    ends = f"[{found['low']:+.4g}, {found['high']:+.4g}]"
    return f"{found['mean']:+.4g} {ends} to {found['less']}"


def compare(
    first: Annotated[Path, Argument(metavar="RUN", help=_RUN)],
    second: Annotated[Path, Argument(metavar="RUN", help="What it is compared with.")],
    output: Output,
) -> None:
    """Compare two runs of the same task, paired by evaluation episode or game.

    The difference is the first less the second, with its 95% interval.
    """
    from retrieve_rl.study.compare import compare as compared
    from retrieve_rl.study.compare import load

    told = compared(load(first, paper_named), load(second, paper_named))
    if output.as_json:
        print_json(told)
        return
    rows = [
        (name, found["first"], found["second"], found["difference"], found["pairs"])
        for name, found in told["measures"].items()
    ]
    print(f"first:  {told['first']['label']}, {told['first']['run']}")
    print(f"second: {told['second']['label']}, {told['second']['run']}")
    columns = ("measure", "first", "second", "difference [95% interval]", "pairs")
    print_table("first less second", columns, rows)
    intervals = {found["interval"] for found in told["measures"].values()}
    for note in [*(f"95% intervals: {name}" for name in sorted(intervals)), *told["notes"]]:
        print(note)
