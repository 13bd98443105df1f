"""What the commands that compute a run print: a plan or a result."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieve_rl.cli.locate import folder_of, status_of
from retrieve_rl.cli.options import Output, Place
from retrieve_rl.cli.output import print_facts, print_json
from retrieve_rl.errors import DataError, GateError

if TYPE_CHECKING:
    from retrieve_rl.go.config import GoConfig
    from retrieve_rl.reframe.config import ReframeConfig
    from retrieve_rl.results import RunResult
    from retrieve_rl.runs import Finished


def print_plan(
    command: str,
    config: "ReframeConfig | GoConfig",
    root: Path,
    output: Output,
    beside: Mapping[str, str] | None = None,
) -> None:
    """Prints what a command would do; `beside` as in `folder_of`."""
    folder = folder_of(command, config, root, beside)
    plan = {
        "command": command,
        "folder": str(folder),
        "status": status_of(folder),
        "inputs": _records(config) if config.paper == "go" else _inputs(config),
        "config": config.model_dump(mode="json"),
    }
    print_dry_run(plan, output)


def print_dry_run(plan: Mapping[str, Any], output: Output) -> None:
    """Prints a plan."""
    if output.as_json:
        print_json(plan)
    else:
        print_facts("dry run: nothing was written", plan)


def print_result(finished: "Finished", place: Place, output: Output) -> None:
    """Prints where a run lies and its summary; copies its result to `--out`."""
    from retrieve_rl.artifacts import to_json, write_file
    from retrieve_rl.results import without_nan

    result = finished.result
    document = result.model_dump(mode="json")
    if place.out is not None:
        write_file(place.out, to_json(without_nan(document)))
    if output.as_json:
        output.reporter.say(str(finished.folder))
        print_json(document)
        return
    print(finished.folder)
    print_facts(title_of(result), headline(result.summary))


def title_of(result: "RunResult") -> str:
    return f"{result.command}: {result.task}, {result.arm}, {result.preset}, seed {result.seed}"


def headline(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The interval of the measure first; mean, low and high only repeat it."""
    first = [summary["measure"]] if "measure" in summary else []
    repeated = ("mean", "low", "high") if first else ()
    names = [*first, *sorted(summary.keys() - {*first, *repeated})]
    return {name: summary[name] for name in names}


def check_gate(result: "RunResult", fail_under: float | None) -> None:
    """Raises GateError where the mean score is below the threshold, or the result is partial."""
    if fail_under is None:
        return
    mean, measure = result.summary["mean"], result.summary["measure"]
    if result.status != "ok":
        raise GateError(f"the result is {result.status}: its mean {measure} passes no --fail-under")
    if mean < fail_under:
        raise GateError(f"the mean {measure} is {mean:.5g}, below --fail-under {fail_under:g}")


def _inputs(config: "ReframeConfig") -> dict[str, dict[str, Any]]:
    from retrieve_rl.reframe.datasets import local_datasets

    here = {row["id"] for row in local_datasets() if row["made"]}
    names = {"dataset": config.data.dataset_id, "experts": config.data.experts_id}
    return {
        kind: {"id": name, "here": name in here or Path(name).is_file()}
        for kind, name in names.items()
    }


def _records(config: "GoConfig") -> dict[str, dict[str, Any]]:
    from retrieve_rl.go.sources import locate

    told = {}
    for source in config.data.sources:
        try:
            locate(source.file, source.sha256, config.data.folder)
        except DataError as error:
            told[source.file] = {"here": False, "because": str(error)}
        else:
            told[source.file] = {"here": True}
    return told
