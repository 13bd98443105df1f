"""Minari's hosted data sets: from this machine or, where they are missing, from its server.

A download is built apart and appears whole, with a `MANIFEST.json` beside Minari's `data` folder
that is verified on every later load. `minari` itself is imported only to fetch.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, MissingDependencyError
from retrieve_rl.locks import shared
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.episodes import Episodes
from retrieve_rl.reframe.minari_layout import (
    ARTIFACT_KIND,
    ROOT_VARIABLE,
    dataset_path,
    datasets_root,
    is_loadable,
    read_episodes,
)
from retrieve_rl.signals import UNASKED, StopRequest


def load_minari(
    dataset_id: str, reporter: Reporter, stop: StopRequest = UNASKED, *, download: bool = True
) -> Episodes:
    """A data set of Minari's own, from this machine or, where it is missing, from its server.

    What a broken download left behind is replaced.

    Raises:
      UsageError: not an id.
      DataError: not here and not to be had, or damaged.
    """
    path = dataset_path(dataset_id)
    if not is_loadable(path):
        if not download:
            raise DataError(f"{dataset_id} is not on this machine; it would lie at {path}")
        _fetch(dataset_id, path, reporter, stop)
    if (path / artifacts.MANIFEST_NAME).exists():
        artifacts.verify(path, kind=ARTIFACT_KIND)
    return read_episodes(path, dataset_id=dataset_id, family="minari", recipe=dataset_id)


def _fetch(dataset_id: str, path: Path, reporter: Reporter, stop: StopRequest) -> None:
    """Downloads into a folder of its own, so that half a data set never lies at `path`."""
    with shared(path, reporter, stop):
        if is_loadable(path):
            return
        broken = " again: the copy here is not whole" if path.exists() else ""
        reporter.say(f"fetching {dataset_id} from Minari's server{broken}")
        with artifacts.create(path, kind=ARTIFACT_KIND, metadata={"id": dataset_id}) as building:
            fetched = _download(dataset_id, building, path)
            read_episodes(fetched, dataset_id=dataset_id, family="minari", recipe=dataset_id)
            os.replace(fetched / "data", building / "data")
            shutil.rmtree(building / "fetching")


def _download(dataset_id: str, building: Path, path: Path) -> Path:
    try:
        import minari
    except ImportError as error:
        raise MissingDependencyError(f"Minari cannot be imported: {error}") from None
    try:
        with _root(building / "fetching"):
            minari.download_dataset(dataset_id)
            return datasets_root() / dataset_id
    except Exception as error:  # servers fail in too many ways to list: each is data not to be had
        raise DataError(
            f"{dataset_id} is not on this machine (it would lie at {path}) and could not be"
            f" downloaded from Minari's server ({type(error).__name__}: {error}). Check the id and"
            " the network; the bundled data sets (rrl data list) need none"
        ) from error


@contextlib.contextmanager
def _root(folder: Path) -> Iterator[None]:
    """Points Minari to another root, and its chatter to stderr: stdout carries results only."""
    before = os.environ.get(ROOT_VARIABLE)
    os.environ[ROOT_VARIABLE] = str(folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if before is None:
            del os.environ[ROOT_VARIABLE]
        else:
            os.environ[ROOT_VARIABLE] = before
