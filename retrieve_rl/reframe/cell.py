"""What a study reads of a Re:Frame config and of its result."""

from collections.abc import Mapping
from typing import Any

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.reframe.config import EnvConfig, ReframeConfig, settings_that_count
from retrieve_rl.reframe.d4rl import copy_path
from retrieve_rl.reframe.datasets import FILE_ENDINGS, facts_at_hand
from retrieve_rl.reframe.recipes import find_recipe
from retrieve_rl.results import Measurements, RunResult

_OF_EPISODE, _FILE = ("id", "max_steps", "score_table"), "file@"
_HOSTED = ("D4RL", "atari", "mujoco")
"""Families on Minari's server, whose ids name their bytes; other Minari data are the user's own."""
_MEASURES = ("return_raw", "normalized_score_100", "length")


def identity(config: ReframeConfig) -> dict[str, Any]:
    """The settings, with the data named by recipe and version, or by digest, instead of a path.

    Raises:
      DataError: a file of data is not there.
      UsageError: there is no such backbone.
    """
    settings = settings_that_count(config)
    names = {"dataset": config.data.dataset_id, "experts": config.data.experts_id}
    data = {**settings.get("data", {}), **{k: _version(v) for k, v in names.items()}}
    return {**settings, "data": data}


def digests(result: RunResult) -> dict[str, str]:
    """Recipe and version of the data set and of the experts -> sha256 of the arrays."""
    inputs = [result.inputs[role] for role in ("dataset", "experts")]
    return {data["recipe"] or data["id"]: data["sha256"] for data in inputs}


def judged_on(settings: Mapping[str, Any], seed: int, measure: str) -> dict[str, Any]:
    """The environment whose first states the seeds name, and the family of the data: this
    program's, D4RL's, Minari's or a file's are different benchmarks."""
    del seed, measure
    settings = settings.get("trained", settings)
    env = {**EnvConfig().model_dump(mode="json"), **settings.get("env", {})}
    dataset = settings["data"]["dataset"]
    of_file = dataset.startswith(_FILE) or dataset.endswith(FILE_ENDINGS)
    return {
        "family of the data": "file" if of_file else dataset.partition("@")[0].partition("/")[0],
        **{f"env.{name}": env[name] for name in _OF_EPISODE},
    }


def measurements(result: RunResult) -> Measurements:
    """One a rollout, named by the seed of its first state."""
    outcomes = result.outcomes
    measures = [name for name in _MEASURES if outcomes and name in outcomes[0]]
    values = {name: [outcome[name] for outcome in outcomes] for name in measures}
    return Measurements([outcome["seed"] for outcome in outcomes], [], values)


def conditions(result: RunResult) -> dict[str, dict[str, Any]]:
    """How far the actions are from an expert's with the memory, without and with a random one; and
    how far the correction opened over the rollouts, and how close the memory was."""
    retrieval = result.retrieval or {}
    distances = retrieval.get("distance_to_expert") or {}
    told = {
        name: {"distance_to_expert": distances[name]}
        for name in ("memory", "empty", "random")
        if name in distances
    }
    if "mean_gate" in retrieval:
        told["at play"] = {name: retrieval[f"mean_{name}"] for name in ("gate", "closeness")}
    return {
        condition: {name: {"mean": mean, "low": None, "high": None} for name, mean in of.items()}
        for condition, of in told.items()
    }


def _version(name: str) -> str:
    if name.startswith("rrl/"):
        return find_recipe(name).name
    if name.startswith("d4rl/"):
        manifest = artifacts.read_manifest(copy_path(name))
        return f"{name}@{manifest.metadata['arrays_sha256']}"
    of_file = name.endswith(FILE_ENDINGS)
    if name.partition("/")[0] in _HOSTED and not of_file:
        return name
    file_sha256 = facts_at_hand(name).get("file_sha256")
    if file_sha256 is None:
        raise DataError(f"{name} does not exist: a cell is known by the bytes of its data")
    return f"{_FILE if of_file else f'{name}@'}{file_sha256}"
