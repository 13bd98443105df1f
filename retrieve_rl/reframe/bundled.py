"""The bundled data sets: made here by their recipe, checked, kept as local Minari data sets."""

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.locks import shared
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import behavior, minari_layout
from retrieve_rl.reframe.collect import Rollout, collect
from retrieve_rl.reframe.episodes import Episodes, build_episodes, check
from retrieve_rl.reframe.recipes import Recipe
from retrieve_rl.signals import StopRequest


def is_made(recipe: Recipe) -> bool:
    """Whether the data set lies here in this recipe's version; its bytes are not checked."""
    path = minari_layout.dataset_path(recipe.dataset_id)
    if not (path / artifacts.MANIFEST_NAME).exists():
        return False
    manifest = artifacts.read_manifest(path, kind=minari_layout.ARTIFACT_KIND)
    return manifest.metadata.get("recipe") == recipe.name


def make_bundled(
    recipe: Recipe,
    reporter: Reporter,
    stop: StopRequest,
    *,
    workers: int | None = None,
    force: bool = False,
) -> Episodes:
    """Makes a data set where it is missing, or anew with `force`, and loads it.

    Two processes at once: one makes it, the other waits and loads it.

    Raises:
      DataError: what came out is not what the recipe promises; nothing is kept.
      ResourceError: no memory or disk left.
      Interrupted: a signal asked to stop; nothing is kept.
    """
    path = minari_layout.dataset_path(recipe.dataset_id)
    with shared(path, reporter, stop):
        if force or not is_made(recipe):
            return _make(recipe, path, reporter, stop, workers)
    return load_bundled(recipe)


def load_bundled(recipe: Recipe) -> Episodes:
    """Loads a data set that is here, after checking every byte.

    Raises:
      DataError: it is missing, damaged or of another recipe version.
    """
    path = minari_layout.dataset_path(recipe.dataset_id)
    remedy = f"run `rrl data make {recipe.dataset_id} --force`"
    try:
        manifest = artifacts.verify(path, kind=minari_layout.ARTIFACT_KIND)
    except DataError as error:
        raise DataError(f"{error}; {remedy}") from None
    if manifest.metadata.get("recipe") != recipe.name:
        raise DataError(
            f"{path} was made by recipe {manifest.metadata.get('recipe')},"
            f" this program has {recipe.name}: {remedy}"
        )
    episodes = minari_layout.read_episodes(
        path, dataset_id=recipe.dataset_id, family="bundled", recipe=recipe.name
    )
    if episodes.sha256 != manifest.metadata.get("arrays_sha256"):
        raise DataError(f"{path} does not hold the arrays its manifest names: {remedy}")
    return episodes


def _make(
    recipe: Recipe, path: Path, reporter: Reporter, stop: StopRequest, workers: int | None
) -> Episodes:
    began = time.monotonic()
    rollouts = collect(recipe, reporter, stop, workers=workers)
    episodes = _join(recipe, rollouts)
    check(episodes)
    _check_promise(recipe, episodes)
    metadata: dict[str, Any] = {
        "recipe": recipe.name,
        "arrays_sha256": episodes.sha256,
        "episodes": episodes.num_episodes,
        "steps": episodes.num_steps,
        "env_id": recipe.env_id,
        "versions": {name: version(name) for name in ("numpy", "gymnasium", "mujoco", "minari")},
    }
    sources = {
        behavior.policy_file(recipe.robot, name).name: behavior.policy_sha256(recipe.robot, name)
        for name in recipe.policies
        if name != "random"
    }
    with artifacts.create(
        path, kind=minari_layout.ARTIFACT_KIND, made_from=sources, metadata=metadata
    ) as folder:
        minari_layout.write_episodes(
            folder,
            rollouts,
            dataset_id=recipe.dataset_id,
            env_id=recipe.env_id,
            description=f"Made by retrieve_rl, recipe {recipe.name}; not D4RL's data.",
            algorithm=", ".join(dict.fromkeys(name.split("-")[0] for name in recipe.policies)),
        )
        metadata["seconds"] = round(time.monotonic() - began, 2)
    reporter.say(
        f"made {recipe.dataset_id}: {episodes.num_episodes} episodes, {episodes.num_steps} steps,"
        f" mean return {episodes.returns.mean():.0f}, in {metadata['seconds']:.0f} s"
    )
    return episodes


def _join(recipe: Recipe, rollouts: Sequence[Rollout]) -> Episodes:
    return build_episodes(
        dataset_id=recipe.dataset_id,
        family="bundled",
        env_id=recipe.env_id,
        recipe=recipe.name,
        observations=np.concatenate([rollout.observations[:-1] for rollout in rollouts]),
        actions=np.concatenate([rollout.actions for rollout in rollouts]),
        rewards=np.concatenate([rollout.rewards for rollout in rollouts]),
        offsets=np.cumsum([0] + [len(rollout.rewards) for rollout in rollouts]),
        terminated=np.array([rollout.terminated for rollout in rollouts]),
    )


def _check_promise(recipe: Recipe, episodes: Episodes) -> None:
    mean = float(episodes.returns.mean())
    low, high = recipe.mean_return
    if not low <= mean <= high:
        raise DataError(
            f"{recipe.dataset_id} came out with mean return {mean:.0f}, expected {low:.0f} to"
            f" {high:.0f}: the simulator or a policy is not the one the recipe was written for"
            f" (gymnasium {version('gymnasium')}, mujoco {version('mujoco')}); nothing was kept"
        )
