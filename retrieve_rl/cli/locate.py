"""From options to a config, from a config to its run, and back."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from retrieve_rl.cli.options import DEFAULT_ROOT, Choice, GoChoice
from retrieve_rl.errors import DataError, UsageError

if TYPE_CHECKING:
    from retrieve_rl.go.config import GoConfig
    from retrieve_rl.reframe.config import ReframeConfig

_LISTED = 20


class Trained(NamedTuple):
    """A finished train-policy run.

    Attributes:
      folder: where it lies.
      config: what it was trained with.
      root: the directory of runs it belongs to; its memory lies there too.
    """

    folder: Path
    config: "ReframeConfig | GoConfig"
    root: Path


def config_of(choice: Choice) -> "ReframeConfig | GoConfig":
    """The resolved config of the options, of the paper that the task is of.

    Raises:
      UsageError: also where an option is of the other paper.
      DataError: the games cannot be read.
    """
    from retrieve_rl.config import named_files, paper_of

    if choice.task is None:
        known = ", ".join([*named_files("tasks"), *named_files("tasks/go")])
        raise UsageError(f"--task is needed: one of {known}, or a file")
    common: dict[str, Any] = {
        "preset": choice.preset,
        "seed": choice.seed,
        "settings": choice.settings or (),
        **({} if choice.arm is None else {"arm": choice.arm}),
    }
    if paper_of(choice.task) == "go":
        from retrieve_rl.go.config import resolve

        if choice.dataset is not None or choice.experts is not None:
            raise UsageError("--dataset and --experts are of Re:Frame; games of Go come by --games")
        return resolve(choice.task, games=choice.games, **common)
    from retrieve_rl.reframe.config import resolve as resolve_reframe

    if choice.games is not None:
        raise UsageError("--games is of Go; this task is not")
    return resolve_reframe(choice.task, dataset=choice.dataset, experts=choice.experts, **common)


def reframe_config_of(choice: Choice) -> "ReframeConfig":
    """As `config_of`, for what only Re:Frame has. Raises UsageError for a task of Go."""
    config = config_of(choice)
    if config.paper == "go":
        raise UsageError(f"{config.task} is a task of Go, and this command is of Re:Frame")
    return config


def go_config_of(choice: GoChoice) -> "GoConfig":
    """The resolved config of the options of an index of Go, whose seed is `--seed`.

    Raises:
      UsageError: also where `--set` gives the index another seed.
      DataError: the games cannot be read.
    """
    from retrieve_rl.config import named_files
    from retrieve_rl.go.config import resolve

    if choice.task is None:
        known = ", ".join(named_files("tasks/go"))
        raise UsageError(f"--task is needed: one of {known}, or a file")
    config = resolve(
        choice.task,
        preset=choice.preset,
        seed=choice.seed,
        games=choice.games,
        settings=[f"index.seed={choice.seed}", *(choice.settings or ())],
    )
    if config.index.seed != choice.seed:
        raise UsageError("--set index.seed=... : here the index's seed is the run's, use --seed")
    return config


def folder_of(
    command: str,
    config: "ReframeConfig | GoConfig",
    root: Path,
    beside: Mapping[str, str] | None = None,
) -> Path:
    """Where the run of a config lies. All arms of Go share the runs of build-index.

    Args:
      beside: what else decides the run's numbers, by name.
    """
    from retrieve_rl.config import digest
    from retrieve_rl.results import run_folder

    arm, config_hash = config.arm, _hash_of(config)
    if command == "build-index" and config.paper == "go":
        from retrieve_rl.go.config import DEFAULT_ARM, index_config_hash

        arm, config_hash = DEFAULT_ARM, index_config_hash(config)
    if beside:
        config_hash = digest({"config": config_hash, **beside})
    return run_folder(
        root,
        command,
        task=config.task,
        arm=arm,
        preset=config.preset,
        seed=config.seed,
        config_hash=config_hash,
    )


def _hash_of(config: "ReframeConfig | GoConfig") -> str:
    if config.paper == "go":
        from retrieve_rl.go.config import config_hash

        return config_hash(config)
    from retrieve_rl.reframe.config import config_hash as reframe_hash

    return reframe_hash(config)


def _recorded(values: dict[str, Any], source: str) -> "ReframeConfig | GoConfig":
    """The config in a result, of the paper it names."""
    from retrieve_rl.config import validate

    if values.get("paper") == "go":
        from retrieve_rl.go.config import GoConfig

        return validate(GoConfig, values, source=source)
    from retrieve_rl.reframe.config import ReframeConfig

    return validate(ReframeConfig, values, source=source)


def status_of(folder: Path) -> str:
    """ "finished", "interrupted", "unfinished" (at work, or killed) or "not started"."""
    if (folder / "result.json").exists():
        return "finished"
    if (folder / "partial.json").exists():
        return "interrupted"
    return "unfinished" if (folder / "config.json").exists() else "not started"


def with_episodes(
    config: "ReframeConfig | GoConfig", episodes: int | None
) -> "ReframeConfig | GoConfig":
    """The same config with another number of evaluation episodes. Raises UsageError for Go."""
    from retrieve_rl.reframe.config import EvaluateConfig

    if episodes is None:
        return config
    if config.paper == "go":
        raise UsageError("--episodes is of Re:Frame; a policy of Go is judged on recorded games")
    return config.model_copy(update={"evaluate": EvaluateConfig(episodes=episodes)})


def find_trained(run: Path | None, choice: Choice, root: Path | None) -> Trained:
    """The run to evaluate: the one named, or the one of exactly the config of the options.

    Raises:
      UsageError: both named and described, or neither.
      DataError: there is no such finished run.
    """
    if run is None:
        return _trained_with(choice, root or DEFAULT_ROOT)
    if choice != Choice():
        raise UsageError("name a RUN, or describe it with --task, --arm, ...; not both")
    folder = run.parent if run.name == "result.json" else run
    return _named(folder, root)


def _named(folder: Path, root: Path | None) -> Trained:
    from retrieve_rl.results import read_result

    result = read_result(folder)
    if result.command != "train-policy":
        raise DataError(
            f"{folder} is a run of {result.command}; evaluate needs one of train-policy"
        )
    config = _recorded(result.config, str(folder))
    if _hash_of(config) != result.config_hash:
        raise DataError(f"{folder} was trained by another version of this program: train it again")
    places = folder.resolve().parents
    beside = places[2] if len(places) > 2 and places[1].name == "train-policy" else None
    return Trained(folder, config, beside or root or DEFAULT_ROOT)


def _trained_with(choice: Choice, root: Path) -> Trained:
    config = config_of(choice)
    folder = folder_of("train-policy", config, root)
    if status_of(folder) == "finished":
        return Trained(folder, config, root)
    there = sorted(path.parent for path in root.glob("train-policy/*/*/result.json"))
    more = [f"  ... and {len(there) - _LISTED} more"] if len(there) > _LISTED else []
    listed = [f"  {path}" for path in there[:_LISTED]] + more or ["  none"]
    raise DataError(
        "\n".join(
            [
                f"no finished run of this config: {folder} is {status_of(folder)}",
                f"finished train-policy runs under {root}:",
                *listed,
                f"this command makes it: {_training_command(choice, root)}",
            ]
        )
    )


def find_built(config: "GoConfig", choice: GoChoice, root: Path) -> Path:
    """The folder of the finished build-index run of a config.

    Raises:
      DataError: there is none; the message holds the command that makes it.
    """
    folder = folder_of("build-index", config, root)
    if status_of(folder) == "finished":
        return folder
    raise DataError(
        f"no finished run of this config: {folder} is {status_of(folder)}\n"
        f"this command makes it: {_building_command(choice, root)}"
    )


def _training_command(choice: Choice, root: Path) -> str:
    options = (
        ("--task", choice.task, None),
        ("--preset", choice.preset, Choice.preset),
        ("--arm", choice.arm, Choice.arm),
        ("--seed", choice.seed, Choice.seed),
        ("--dataset", choice.dataset, None),
        ("--experts", choice.experts, None),
        ("--games", choice.games, None),
    )
    return _command("train-policy", options, choice.settings, root)


def _building_command(choice: GoChoice, root: Path) -> str:
    options = (
        ("--task", choice.task, None),
        ("--preset", choice.preset, GoChoice.preset),
        ("--seed", choice.seed, GoChoice.seed),
        ("--games", choice.games, None),
    )
    return _command("build-index", options, choice.settings, root)


def _command(
    name: str,
    options: Iterable[tuple[str, object, object]],
    settings: Iterable[str] | None,
    root: Path,
) -> str:
    """A command line; `options` are names, values and defaults, which are left out."""
    words = ["rrl", name]
    for option, value, default in options:
        if value != default:
            words += [option, str(value)]
    for setting in settings or ():
        words += ["--set", setting]
    if root != DEFAULT_ROOT:
        words += ["--runs", str(root)]
    return shlex.join(words)
