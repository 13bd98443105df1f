"""Data sets by name: load, make, import, list, describe."""

from pathlib import Path
from typing import Any

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import bundled, d4rl, minari_data, minari_layout
from retrieve_rl.reframe.episodes import Episodes
from retrieve_rl.reframe.recipes import bundled_ids, find_recipe
from retrieve_rl.signals import UNASKED, StopRequest

FILE_ENDINGS = (".hdf5", ".h5")


def load(
    name: str,
    reporter: Reporter,
    *,
    make_missing: bool = True,
    workers: int | None = None,
    stop: StopRequest = UNASKED,
) -> Episodes:
    """The episodes a name stands for.

    Args:
      name: a bundled id ("rrl/hopper/medium-v0"), a Minari id ("mujoco/hopper/medium-v0"), the id
        of an imported file ("d4rl/NAME"), or the path of a D4RL file (.hdf5, .h5).
      make_missing: make bundled data, and download Minari's, where it is not on this machine.

    Raises:
      UsageError: the name is none of these.
      DataError: missing, damaged, or not usable.
      Interrupted: a signal asked to stop while it was made or waited for.
    """
    if name.endswith(FILE_ENDINGS):
        return d4rl.read_d4rl(Path(name))
    if name.startswith("d4rl/"):
        return d4rl.load_copy(name)
    if not name.startswith("rrl/"):
        return minari_data.load_minari(name, reporter, stop, download=make_missing)
    recipe = find_recipe(name)
    if bundled.is_made(recipe):
        return bundled.load_bundled(recipe)
    path = minari_layout.dataset_path(recipe.dataset_id)
    if not make_missing:
        raise DataError(
            f"{recipe.dataset_id} is not at {path}: run `rrl data make {recipe.dataset_id}`"
        )
    found = "is of another recipe version" if path.exists() else "is not there yet"
    reporter.say(f"{path} {found}: making {recipe.dataset_id}")
    return bundled.make_bundled(recipe, reporter, stop, workers=workers)


def facts_at_hand(name: str) -> dict[str, str]:
    """What a run's inputs record of the data set that `name` stands for now, as far as that can be
    told without loading it; of one that is not here, no digest.

    Raises:
      UsageError: no such name.
      DataError: its manifest is damaged.
    """
    if name.startswith("rrl/"):
        recipe = find_recipe(name)
        made = bundled.is_made(recipe)
        arrays = _arrays_sha256(minari_layout.dataset_path(recipe.dataset_id)) if made else {}
        return {"recipe": recipe.name, **arrays}
    if name.startswith("d4rl/"):
        path = d4rl.copy_path(name)
        return _arrays_sha256(path) if path.exists() else {}
    of_minari = not name.endswith(FILE_ENDINGS)
    file = minari_layout.dataset_path(name) / minari_layout.DATA_FILE if of_minari else Path(name)
    return {"file_sha256": artifacts.sha256_of(file)} if file.is_file() else {}


def make(
    name: str,
    reporter: Reporter,
    *,
    workers: int | None = None,
    force: bool = False,
    stop: StopRequest = UNASKED,
) -> Episodes:
    """Makes a bundled data set where it is missing, or anew with `force`.

    Args:
      name: "rrl/hopper/medium-v0", or short "hopper/medium" or "hopper-medium".

    Raises:
      UsageError: no such data set.
      DataError: it came out wrong, or the one here is damaged (`force` replaces it).
      ResourceError: no memory or disk left.
      Interrupted: a signal asked to stop.
    """
    return bundled.make_bundled(find_recipe(name), reporter, stop, workers=workers, force=force)


def import_d4rl(
    path: Path, reporter: Reporter, *, name: str | None = None, stop: StopRequest = UNASKED
) -> Episodes:
    """Reads a D4RL file and keeps a verified copy that `load` finds as "d4rl/<name>".

    Raises:
      UsageError: the name cannot be used.
      DataError: the file cannot.
      Interrupted: a signal asked to stop while another process wrote the copy.
    """
    d4rl.d4rl_id(d4rl.default_name(path) if name is None else name)  # before the long read
    episodes = d4rl.read_d4rl(path, name=name)
    copy = d4rl.save_copy(episodes, path, reporter, stop)
    cut = f", {episodes.dropped_episodes} cut episode left out" if episodes.dropped_episodes else ""
    reporter.say(
        f"imported {episodes.dataset_id}: {episodes.num_episodes} episodes,"
        f" {episodes.num_steps} steps{cut}, at {copy}"
    )
    return episodes


def local_datasets() -> list[dict[str, Any]]:
    """Every data set here, and the bundled ones that are not made yet ("made": False).

    Each has id, family, episodes, steps, bytes, path and made; nothing is verified.
    """
    root = minari_layout.datasets_root()
    found = {}
    for file in sorted([*root.glob("**/data/metadata.json"), *root.glob("d4rl/*/MANIFEST.json")]):
        folder = file.parent if file.name == artifacts.MANIFEST_NAME else file.parent.parent
        dataset_id = folder.relative_to(root).as_posix()
        if any(part.startswith(".") for part in folder.relative_to(root).parts):
            continue
        try:
            found[dataset_id] = _describe(dataset_id, folder)
        except (DataError, UsageError):
            continue
    for dataset_id in bundled_ids():
        path = minari_layout.dataset_path(dataset_id)
        missing = {"family": "bundled", "episodes": 0, "steps": 0, "bytes": 0, "made": False}
        found.setdefault(dataset_id, {"id": dataset_id, "path": str(path), **missing})
    return [found[dataset_id] for dataset_id in sorted(found)]


def stats(episodes: Episodes) -> dict[str, Any]:
    """What `rrl data stats` shows; strict JSON."""
    levels = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

    def quantiles(values: np.ndarray) -> dict[str, float]:
        found = np.quantile(values, levels).tolist()
        return {f"{level:g}": value for level, value in zip(levels, found, strict=True)}

    return {
        "id": episodes.dataset_id,
        "family": episodes.family,
        "env_id": episodes.env_id,
        "recipe": episodes.recipe,
        "sha256": episodes.sha256,
        "episodes": episodes.num_episodes,
        "steps": episodes.num_steps,
        "observation_width": episodes.observations.shape[1],
        "action_width": episodes.actions.shape[1],
        "return_mean": float(episodes.returns.mean()),
        "return_quantiles": quantiles(episodes.returns),
        "length_quantiles": quantiles(episodes.lengths),
        "terminated_share": float(episodes.terminated.mean()),
        "action_range": [float(episodes.actions.min()), float(episodes.actions.max())],
        "dropped_episodes": episodes.dropped_episodes,
    }


def _arrays_sha256(path: Path) -> dict[str, str]:
    manifest = artifacts.read_manifest(path, kind=minari_layout.ARTIFACT_KIND)
    return {"sha256": manifest.metadata["arrays_sha256"]}


def _describe(dataset_id: str, folder: Path) -> dict[str, Any]:
    if dataset_id.startswith("d4rl/"):
        facts = artifacts.read_manifest(folder, kind=minari_layout.ARTIFACT_KIND).metadata
        family, episodes, steps, made = "d4rl", facts["episodes"], facts["steps"], True
    else:
        facts = minari_layout.read_metadata(folder)
        episodes, steps = facts.get("total_episodes", 0), facts.get("total_steps", 0)
        is_bundled = dataset_id in bundled_ids()
        family = "bundled" if is_bundled else "minari"
        made = bundled.is_made(find_recipe(dataset_id)) if is_bundled else True
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "id": dataset_id,
        "family": family,
        "episodes": episodes,
        "steps": steps,
        "bytes": size,
        "path": str(folder),
        "made": made,
    }
