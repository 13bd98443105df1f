"""What a study is: a TOML that names tasks, arms, varied keys and seeds, and its grid of cells."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from retrieve_rl.config import Strict, find, merge, read_toml, validate
from retrieve_rl.reframe.config import ReframeConfig, resolve


class StudyDesign(Strict):
    """A study's TOML. Every combination of task, arm, grid value and seed is one cell."""

    title: str
    tasks: list[str] = Field(min_length=1)
    arms: list[str] = Field(min_length=1)
    preset: str = "quick"
    seeds: list[int] = Field([0], min_length=1)
    grid: dict[str, list[Any]] = {}
    """Dotted config key -> its values, as in `"data.num_experts" = [60, 30, 10]`."""


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
      settings: the varied keys and this cell's values.
      config: the whole resolved config.
    """

    task: str
    arm: str
    settings: dict[str, Any]
    seed: int
    config: ReframeConfig

    @property
    def label(self) -> str:
        varied = [f"{key}={value}" for key, value in self.settings.items()]
        return " ".join([self.task, self.arm, *varied, f"seed={self.seed}"])


def load_design(
    name: str, *, task: str | None = None, preset: str | None = None, seed: int | None = None
) -> StudyDesign:
    """The study called `name`, or a TOML file; the options narrow it. Raises UsageError.

    A `[smoke]` table in the file replaces what the short data sets of that preset cannot serve.
    """
    path = find("ablations", name)
    values = read_toml(path)
    smoke = values.pop("smoke", {})
    if preset == "smoke":
        values = merge([values, smoke])
    if task is not None:
        values["tasks"] = [task]
    if preset is not None:
        values["preset"] = preset
    if seed is not None:
        values["seeds"] = [seed]
    return validate(StudyDesign, values, source=str(path))


def cells(design: StudyDesign, settings: Sequence[str] = ()) -> list[Cell]:
    """Every cell, its config resolved; `settings` (`key=value`) hold in all of them.

    Raises:
      UsageError: a cell's config is not valid.
    """
    grid = [
        dict(zip(design.grid, values, strict=True))
        for values in itertools.product(*design.grid.values())
    ]
    found = []
    for task, arm, varied, seed in itertools.product(design.tasks, design.arms, grid, design.seeds):
        own = [f"{key}={json.dumps(value)}" for key, value in varied.items()]
        config = resolve(task, preset=design.preset, arm=arm, seed=seed, settings=[*settings, *own])
        found.append(Cell(config.task, arm, varied, seed, config))
    return found
