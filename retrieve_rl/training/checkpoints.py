"""Checkpoints: any pytree of numbers as one npz in a verified artifact.

Leaves are stored under their path in the tree. Restoring fills a template and refuses a leaf that
is missing, left over, or of another shape or dtype.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from retrieve_rl import artifacts, durable
from retrieve_rl.errors import DataError
from retrieve_rl.results import CHECKPOINT

Tree = TypeVar("Tree")
_BFLOAT16_IN_FILE = np.dtype("V2")  # NumPy's files do not know its name


def save_tree(folder: Path, tree: Any) -> None:
    """Writes `tree` into the folder of an artifact being built."""
    artifacts.save_arrays(folder / "state.npz", _flatten(tree))


def load_tree(folder: Path, template: Tree) -> Tree:
    """Fills `template` from a verified artifact. Raises DataError where they do not fit."""
    arrays = artifacts.load_arrays(folder / "state.npz")
    leaves, treedef = jax.tree_util.tree_flatten_with_path(template)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    if set(names) != set(arrays):
        difference = sorted(set(names) ^ set(arrays))[:3]
        raise DataError(f"{folder} does not fit this model: only one of them has {difference}")
    restored = []
    for name, (_, leaf) in zip(names, leaves, strict=True):
        array = arrays[name]
        if leaf.dtype == jnp.bfloat16 and array.dtype == _BFLOAT16_IN_FILE:
            array = array.view(jnp.bfloat16)
        if array.shape != leaf.shape or array.dtype != leaf.dtype:
            raise DataError(
                f"{folder}: {name} is {array.dtype}{array.shape}, the model needs"
                f" {leaf.dtype}{leaf.shape}"
            )
        restored.append(jnp.asarray(array))
    return jax.tree_util.tree_unflatten(treedef, restored)


def save_checkpoint(
    folder: Path,
    step: int,
    tree: Any,
    *,
    made_from: Mapping[str, str],
    metadata: Mapping[str, Any],
) -> Path:
    """Writes `folder/step-<step>`; keeps it and the one before.

    Later ones go too: who comes to `step` again could not go on from them.

    Raises:
      ResourceError: the disk is full.
    """
    path = _path(folder, step)
    with artifacts.create(
        path, kind="checkpoint", made_from=made_from, metadata={**metadata, "step": step}
    ) as building:
        save_tree(building, tree)
    before = [other for other in _checkpoints(folder) if _step(other) < step]
    with durable.disk_errors(folder):
        for other in set(_checkpoints(folder)) - {path, *before[-1:]}:
            durable.remove(other)
    durable.remove_temporaries(folder)
    return path


def latest_checkpoint(
    folder: Path, say: Callable[[str], None] = lambda message: None
) -> Path | None:
    """The newest checkpoint whose bytes are what was written; None where there is none.

    A damaged newest one is passed over for the one before it.

    Args:
      say: told of each that is passed over.
    """
    for path in reversed(_checkpoints(folder)):
        try:
            artifacts.verify(path, kind="checkpoint")
            return path
        except DataError as damage:
            say(f"passed over, as it is damaged: {damage}")
    return None


def checkpoint_of(folder: Path, step: int) -> tuple[Path, artifacts.Manifest]:
    """The checkpoint `folder/step-<step>`, every byte checked.

    Raises:
      DataError: it is not there, or damaged.
    """
    path = _path(folder, step)
    if not path.is_dir():
        raise DataError(f"{folder} has no checkpoint of step {step}: train it again")
    return path, artifacts.verify(path, kind="checkpoint")


def trained_facts(folder: Path, step: int) -> dict[str, str]:
    """What a result says of the checkpoint of that step which was judged; see `check_trained`."""
    return {CHECKPOINT: checkpoint_of(folder, step)[1].digest}


def check_trained(
    path: Path, manifest: artifacts.Manifest, training: Mapping[str, Any] | None
) -> None:
    """Raises DataError where the checkpoint is another than the result of its training names."""
    named = (training or {}).get(CHECKPOINT)
    if named is not None and named != manifest.digest:
        raise DataError(
            f"{path} is another checkpoint ({manifest.digest[:16]}) than the one its result.json"
            f" was made with ({named[:16]}): put that one back, or train again"
        )


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def _checkpoints(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if re.fullmatch(r"step-\d{8,}", path.name))
    return sorted(found, key=_step)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _flatten(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
