"""Configuration: frozen models filled from TOML layers and `--set key=value`.

A run's config is the deep merge, later winning, of: the defaults in the model, the task's TOML, the
preset's, the arm's, and `--set`. It is validated once, whole; an unknown key is refused with the
nearest known one.
"""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retrieve_rl.errors import UsageError


class Strict(BaseModel):
    """Base of every config section: frozen, no unknown keys, no silent conversion, no NaN."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


_DEEPEST_KEY = 20


class RunConfig(Strict):
    """What the configs of both papers have in common: the names a run is known by."""

    task: str
    arm: str
    preset: str
    # JAX draws from 32 bits: a larger seed would be the same as a smaller one.
    seed: int = Field(0, ge=0, lt=2**32)


Model = TypeVar("Model", bound=Strict)


def experiments_folder() -> Path:
    """Where the TOML files lie: inside the installed package, or beside it in a checkout."""
    package = Path(str(resources.files("retrieve_rl")))
    installed = package / "experiments"
    return installed if installed.is_dir() else package.parent / "experiments"


def named_files(kind: str) -> dict[str, Path]:
    """Name -> TOML file of one kind: "tasks", "presets", "arms" or "ablations".

    "tasks/go", "presets/go" and "arms/go" are those of the other paper.
    """
    return {path.stem: path for path in sorted((experiments_folder() / kind).glob("*.toml"))}


def find(kind: str, name: str) -> Path:
    """The TOML called `name`, or, where `name` ends in .toml, that file. Raises UsageError."""
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"{path} does not exist")
        return path
    known = named_files(kind)
    if name not in known:
        kinds, _, of_go = kind.partition("/")
        one = kinds.removesuffix("s")
        if name in named_files(kinds if of_go else f"{kinds}/go"):
            paper = "Re:Frame" if of_go else "Go"
            raise UsageError(f"{one} {name} is of {paper}; here: {', '.join(known)}")
        raise UsageError(f"no {one} is called {name!r}{_nearest(name, known)}")
    return known[name]


def name_of(name: str) -> str:
    """What `name`, as `find` takes it, is called in a run: a file by its stem."""
    return Path(name).stem if name.endswith(".toml") else name


def paper_of(task: str) -> str:
    """ "go" or "reframe": where a task lies, or what a TOML file says of itself (`paper = "go"`).

    Raises:
      UsageError: there is no such task.
    """
    if task.endswith(".toml"):
        return str(read_toml(find("tasks", task)).get("paper", "reframe"))
    papers = {name: "reframe" for name in named_files("tasks")}
    papers |= {name: "go" for name in named_files("tasks/go")}
    if task not in papers:
        raise UsageError(f"no task is called {task!r}{_nearest(task, papers)}")
    return papers[task]


def read_toml(path: Path) -> dict[str, Any]:
    """Parses a TOML file. Raises UsageError with the line for broken text."""
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply to be read") from None


def parse_setting(text: str) -> dict[str, Any]:
    """`"train.steps=100"` -> `{"train": {"steps": 100}}`; the value is TOML, else a plain string.

    Raises:
      UsageError: no `=`, an empty key, or a value or key that is nested too deeply.
    """
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise UsageError(f"{text!r} must look like key=value, as in train.steps=100")
    try:
        parsed: Any = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    except RecursionError:
        raise UsageError(f"the value of {key.strip()} is nested too deeply to be read") from None
    if len(parts) > _DEEPEST_KEY:
        raise UsageError(f"{key[:40]}... has {len(parts)} parts: no key has more than a few")
    for part in reversed(parts):
        parsed = {part: parsed}
    return dict(parsed)


def layers_of(settings: Iterable[str]) -> list[dict[str, Any]]:
    """Each `key=value` of `--set` as a layer.

    Raises:
      UsageError: as `parse_setting`, or it names what has an option of its own.
    """
    layers = [parse_setting(setting) for setting in settings]
    for name in (name for layer in layers for name in layer if name in RunConfig.model_fields):
        raise UsageError(f"--set {name}=... would name the run wrongly: use --{name}")
    return layers


def merge(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Deep merge of mappings; a later layer wins, tables merge key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                merged[key] = merge([below, value])
            else:
                merged[key] = value
    return merged


def dotted(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested tables as one, `{"train": {"steps": 100}}` as `{"train.steps": 100}`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= dotted(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat


def validate(model: type[Model], values: Mapping[str, Any], *, source: str) -> Model:
    """Validates merged values. Raises UsageError: every bad key, with the nearest known one."""
    try:
        # Through JSON: strict validation of a parsed TOML would refuse a list for a tuple field.
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise UsageError(f"{source}: {_explain(model, error)}") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{source}: {error}") from None


def settings_of(config: Strict, without: Collection[str] = ()) -> dict[str, Any]:
    """What a config says beyond its defaults, as strict JSON: hashes are of this.

    So a new field, at its default, leaves the hash of every config as it was. Whoever changes a
    default raises the paper's RESULTS_VERSION, since the same settings then mean something else.
    """
    return config.model_dump(mode="json", exclude_defaults=True, exclude=set(without))


def digest(values: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of `values`."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        name = ".".join(location)
        if problem["type"] == "extra_forbidden":
            known = _keys_at(model, location[:-1])
            lines.append(
                f"unknown key {name}{_nearest(location[-1], known, '.'.join(location[:-1]))}"
            )
        else:
            if problem["type"] == "missing":
                lines.append(f"{name} is missing")
                continue
            found = problem["input"]
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(
                f"{name + ': ' if name else ''}{message} (found {found!r})" if location else message
            )
    return "; ".join(lines)


def _keys_at(model: type[BaseModel], location: list[str]) -> list[str]:
    for part in location:
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {prefix + '.' if prefix else ''}{close[0]}?"
    return f"; known: {', '.join(known)}"
