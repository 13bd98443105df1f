"""What a study is: a TOML that names tasks, arms, varied keys and seeds, and its grid of cells."""

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import Field, model_validator

from retrieve_rl.config import (
    RunConfig,
    Strict,
    digest,
    dotted,
    find,
    merge,
    name_of,
    named_files,
    read_toml,
    validate,
)
from retrieve_rl.errors import UsageError
from retrieve_rl.study.paper import Paper, PaperOf

TUNED = "*"
"""Beside a task that settings were chosen on."""


def _check_varied(name: str, values: Sequence[Any]) -> None:
    """Raises ValueError where a list would make no cell, or the same one twice."""
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if not values or twice:
        found = f"{twice[0]!r} twice" if twice else "nothing"
        raise ValueError(f"{name} holds {found}: expected different values, at least one")


def _with_dotted_keys(block: Mapping[str, Any]) -> dict[str, Any]:
    """With the keys of its tables dotted, also those that TOML reads as tables of tables."""
    tables = {name: block[name] for name in ("grid", "settings") if name in block}
    return {
        **block,
        **{name: dotted(of) for name, of in tables.items() if isinstance(of, Mapping)},
    }


class Block(Strict):
    """Arms and the grid they run over."""

    arms: list[str] = Field(min_length=1)
    grid: dict[str, list[Any]] = {}
    """Dotted config key -> its values, as in `data.num_experts = [60, 30, 10]`."""
    settings: dict[str, Any] = {}
    """Dotted config key -> its value in every cell of the block, where the study or an arm has
    another."""

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """The varied keys with each combination of their values, in order; one without a grid."""
        products = itertools.product(*self.grid.values())
        return [dict(zip(self.grid, values, strict=True)) for values in products]

    @model_validator(mode="before")
    @classmethod
    def _keys_are_dotted(cls, values: Any) -> Any:
        return _with_dotted_keys(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _every_cell_is_one(self) -> "Block":
        lists = {"arms": self.arms, **{f"grid {key}": found for key, found in self.grid.items()}}
        for name, values in lists.items():
            _check_varied(name, values)
        return self


class StudyDesign(Block):
    """A study's TOML. Every combination of task, arm, grid value and seed is one cell.

    Tasks, arms and the preset are names or TOML files.
    """

    title: str
    tasks: list[str] = Field(min_length=1)
    preset: str = "quick"
    seeds: list[int] = Field([0], min_length=1)
    also: list[Block] = []
    """More arms, each with a grid of its own: a baseline for which the varied key means nothing.
    The study's settings hold here too, but for those that a block has itself."""
    curve: str | None = None
    """Where set, the figure draws a line for each row, over the numbers in front of this text in
    the names of its conditions: "of the games" for "0.5 of the games"."""
    reference: str | None = None
    """The arm that the others are compared with; by default the first."""
    judged: str | None = None
    """Where set, every row of this arm is also compared with the same row of each other arm."""
    margin: float = Field(0.0, ge=0.0)
    """The judged arm is not worse than another where the whole interval of the difference lies
    above this much less than zero."""
    tuned_on: list[str] = []
    """Tasks that settings were chosen on; tables and figures mark them."""

    @model_validator(mode="after")
    def _tasks_and_seeds_are_there(self) -> "StudyDesign":
        for name in ("tasks", "seeds"):
            _check_varied(name, getattr(self, name))
        arms = [arm for block in self.blocks for arm in block.arms]
        names = list(map(name_of, arms))
        if name_of(self.reference_arm) not in names:
            raise ValueError(f"reference {self.reference!r} is none of the arms {arms}")
        if self.judged is not None and name_of(self.judged) not in names:
            raise ValueError(f"judged {self.judged!r} is none of the arms {arms}")
        return self

    @property
    def blocks(self) -> list[Block]:
        return [
            Block(arms=one.arms, grid=one.grid, settings={**self.settings, **one.settings})
            for one in (self, *self.also)
        ]

    @property
    def named(self) -> "StudyDesign":
        """With tasks, arms and preset as the cells are called: a file by its stem."""

        def changed(block: Block) -> dict[str, Any]:
            return {"arms": list(map(name_of, block.arms))}

        return self.model_copy(
            update={
                **changed(self),
                "tasks": list(map(name_of, self.tasks)),
                "tuned_on": list(map(name_of, self.tuned_on)),
                "preset": name_of(self.preset),
                "also": [block.model_copy(update=changed(block)) for block in self.also],
                "reference": self.reference and name_of(self.reference),
                "judged": self.judged and name_of(self.judged),
            }
        )

    def marked(self, task: str) -> str:
        """The task's name as tables and figures show it."""
        return f"{task} {TUNED}" if task in self.tuned_on else task

    @property
    def reference_arm(self) -> str:
        return self.reference or self.arms[0]


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
      settings: the varied keys and this cell's values.
      config: the whole resolved config.
      paper: whose config it is.
    """

    task: str
    arm: str
    settings: dict[str, Any]
    seed: int
    config: RunConfig
    paper: Paper

    @property
    def label(self) -> str:
        return label_of(self.task, self.arm, self.settings, self.seed)

    @property
    def varied(self) -> str:
        """The varied keys and values as text; empty where nothing varies."""
        return varied_as_text(self.settings)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that determines the cell's numbers. Raises DataError where its data is missing."""
        version = self.paper.results_version
        return {"results_version": version, **self.paper.identity(self.config)}

    @cached_property
    def key(self) -> str:
        """Hash of `identity`: the same on every machine."""
        return digest(self.identity)


def label_of(task: str, arm: str, settings: Mapping[str, Any], seed: int) -> str:
    """The name of a cell."""
    parts = (task, arm, varied_as_text(settings), f"seed={seed}")
    return " ".join(part for part in parts if part)


def varied_as_text(settings: Mapping[str, Any]) -> str:
    """The name of a row within its arm."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def load_design(
    name: str, *, task: str | None = None, preset: str | None = None, seed: int | None = None
) -> StudyDesign:
    """The study called `name`, or a TOML file; the options narrow it. Raises UsageError.

    A table called like a preset holds what that preset changes: `[smoke]` what its short data sets
    cannot serve, `[paper]` more seeds or values.
    """
    path = find("ablations", name)
    values = read_toml(path)
    presets = named_files("presets").keys() | named_files("presets/go").keys()
    changes = {one: values.pop(one) for one in presets & values.keys()}
    for one, change in changes.items():
        if not isinstance(change, Mapping):
            raise UsageError(f"{path}: {one}: expected a table of what changes (found {change!r})")
    chosen = preset or values.get("preset", StudyDesign.model_fields["preset"].default)
    values = merge(map(_with_dotted_keys, (values, changes.get(str(chosen), {}))))
    if task is not None:
        values["tasks"] = [task]
    if preset is not None:
        values["preset"] = preset
    if seed is not None:
        values["seeds"] = [seed]
    return validate(StudyDesign, values, source=str(path))


def cells(design: StudyDesign, paper_of: PaperOf, settings: Sequence[str] = ()) -> list[Cell]:
    """Every cell, its config resolved; `settings` (`key=value`) hold in all of them.

    Raises:
      UsageError: a cell's config is not valid, the tasks are of several papers, two cells have one
        name, or a setting is of a key that the study varies.
    """
    paper = _paper(design, paper_of)
    _check_not_varied(design, settings)
    found = []
    for task, block in itertools.product(design.tasks, design.blocks):
        common = [*(_setting(key, value) for key, value in block.settings.items()), *settings]
        for arm, varied, seed in itertools.product(block.arms, block.combinations, design.seeds):
            own = [_setting(key, value) for key, value in varied.items()]
            config = paper.resolve(
                task, preset=design.preset, arm=arm, seed=seed, settings=[*common, *own]
            )
            found.append(Cell(config.task, config.arm, varied, seed, config, paper))
    _check_names(design, found)
    return found


def _check_not_varied(design: StudyDesign, settings: Sequence[str]) -> None:
    varied = {key for block in design.blocks for key in block.grid}
    own = {key for block in design.also for key in block.settings}
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key in varied | own:
            does = f"varies {key}" if key in varied else f"sets {key} for some arms"
            raise UsageError(
                f"--set {setting}: {design.title} {does}; copy its TOML and change it there"
            )


def _check_names(design: StudyDesign, found: Sequence[Cell]) -> None:
    """Two cells of one name would be one row of the table."""
    twice = [label for label, count in Counter(cell.label for cell in found).items() if count > 1]
    if twice:
        raise UsageError(
            f"{design.title}: two cells are called {twice[0]}: files of two tasks or arms have one"
            " name, or an arm stands in two blocks that differ in settings alone; rename a file, or"
            " give what differs a grid, as in grid = { key = [value] }"
        )


def _paper(design: StudyDesign, paper_of: PaperOf) -> Paper:
    papers = {task: paper_of(task) for task in design.tasks}
    names = {task: paper.name for task, paper in papers.items()}
    if len(set(names.values())) > 1:
        told = ", ".join(f"{task} is of {name}" for task, name in names.items())
        raise UsageError(f"{design.title}: a study is of one paper ({told}): write two")
    return papers[design.tasks[0]]


def _setting(key: str, value: Any) -> str:
    return f"{key}={_toml(value)}"


def _toml(value: Any) -> str:
    """A value that was read from TOML, as it stands there."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_toml(key)} = {_toml(of)}' for key, of in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # TOML knows no pairs of surrogates
