"""What a study must be told of a paper; the command line knows the papers and hands one over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retrieve_rl.config import RunConfig
from retrieve_rl.results import Measurements, RunResult
from retrieve_rl.runs import RunFn


def no_totals(result: RunResult) -> dict[str, list[float]]:
    """Of a paper whose conditions are not paired."""
    del result
    return {}


def nothing_changed(config: RunConfig, inputs: Mapping[str, Any]) -> list[str]:
    """Of a paper whose configs hold the digests of their data."""
    del config, inputs
    return []


@dataclass(frozen=True)
class Paper:
    """One paper's experiments, as far as a study calls them.

    Attributes:
      name: as a config's `paper` says.
      results_version: of what its configs compute now.
      resolve: (task, preset=, arm=, seed=, settings=) -> config.
      config_hash: of a config; names the folder of its training.
      judgment_hash: of a config; names the folder of its evaluation.
      steps: of a config, how many its training takes.
      identity: of a config, all that determines its numbers, on any machine: no path, and the data
        by recipe or digest.
      training: -> what `rrl train-policy` calls; slow to import.
      evaluation: -> what judges a finished training, called with `trained=FOLDER`, where it says
        more than the training's own evaluation; else None.
      measurements: the outcomes of a result, as columns.
      conditions: of a result, name of the condition -> measure -> mean, low and high.
      condition_totals: of a result, name of the condition -> the headline measure's totals, an
        episode of `measurements` each; of those conditions that a study pairs.
      digests: of a result, name of the data it was computed from -> digest of its arrays.
      judged_on: (settings, seed, measure) -> what two runs must share for their outcomes to be
        paired; of a config, whole or in part, or a cell's identity. What is not known is left out.
      changed_since: (config, inputs of its result) -> what of the data is another now, as text.
    """

    name: str
    results_version: int
    resolve: Callable[..., RunConfig]
    config_hash: Callable[[Any], str]
    judgment_hash: Callable[[Any], str]
    steps: Callable[[Any], int]
    identity: Callable[[Any], dict[str, Any]]
    training: Callable[[], RunFn]
    evaluation: Callable[[], Callable[..., RunResult]] | None
    measurements: Callable[[RunResult], Measurements]
    conditions: Callable[[RunResult], dict[str, dict[str, Any]]]
    digests: Callable[[RunResult], dict[str, str]]
    judged_on: Callable[[Mapping[str, Any], int, str], dict[str, Any]]
    condition_totals: Callable[[RunResult], dict[str, list[float]]] = no_totals
    changed_since: Callable[[Any, Mapping[str, Any]], list[str]] = nothing_changed


PaperOf = Callable[[str], Paper]
"""From a task's name to its paper; a function of a module, so that other processes find it.

Raises UsageError where there is no such task."""
