"""Versions of a retrieval set: each holds the games of the one before and some that were added.

A version lies in the folder of the run that made it:

  additions/   store of all games that were added, see `additions.write_additions`
  keys/        of their positions
  index/       a memory that shares the files of the one it has grown from
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.go.additions import Additions, read_additions, with_additions, write_additions
from retrieve_rl.go.built import Built
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.index import CHUNK_ROWS, keys_of, memory_path
from retrieve_rl.go.splits import ADDED
from retrieve_rl.go.store import Store, open_store
from retrieve_rl.results import Run
from retrieve_rl.retrieval.build import add_to_memory, descends_from
from retrieve_rl.retrieval.keys import FILE_NAME as KEYS_FILE
from retrieve_rl.retrieval.keys import KIND as KEYS_KIND
from retrieve_rl.retrieval.keys import encode_keys, open_keys
from retrieve_rl.retrieval.memory import open_memory
from retrieve_rl.retrieval.memory_files import KIND as INDEX_KIND
from retrieve_rl.retrieval.memory_files import report_of
from retrieve_rl.retrieval.rows import Rows

_ADDITIONS, _KEYS, _INDEX = "additions", "keys", "index"


def index_in(folder: Path) -> Path:
    """The memory of a version, named by its run's folder or by itself."""
    inside = folder / _INDEX
    return inside if (inside / artifacts.MANIFEST_NAME).exists() else folder


def version_digest(folder: Path) -> str:
    """The digest of a version's memory, whose files are not read. Raises DataError."""
    return artifacts.read_manifest(index_in(folder), kind=INDEX_KIND).digest


def open_version(config: GoConfig, built: Built, folder: Path) -> Built:
    """The version in `folder`, every byte of it checked; `built` itself where it is that one.

    Args:
      built: what the config's own index was built to.
      folder: see `index_in`.

    Raises:
      DataError: it has not grown from that index, or a part is missing, damaged or of another
        version.
    """
    path = index_in(folder)
    memory = open_memory(path)
    own = built.index.memory.manifest.digest
    if memory.manifest.digest == own:
        return built
    if not descends_from(memory.manifest, own):
        raise DataError(
            f"{path} has not grown from the index {own[:16]} of this config: name one that"
            " rrl build-index --add made from it"
        )
    added = open_store(path.parent / _ADDITIONS)
    keys = artifacts.verify(path.parent / _KEYS, kind=KEYS_KIND)
    if memory.manifest.made_from.get(
        "additions"
    ) != added.manifest.digest or keys.made_from != _keys_made_from(built, added):
        raise DataError(f"{path.parent} has parts of several versions: add the games again")
    index = replace(
        built.index,
        memory=memory,
        added_keys=open_keys(path.parent / _KEYS / KEYS_FILE),
        report=report_of(memory.manifest),
    )
    return Built(with_additions(built.data, added), built.encoder, index, added=path.parent)


def added_store(grown: Built) -> Store:
    """All games that were added to a version, verified. Raises DataError where none were."""
    if grown.added is None:
        raise DataError("no game was added to this index")
    return open_store(grown.added / _ADDITIONS)


def grow(config: GoConfig, built: Built, parent: Built, asked: Additions, run: Run) -> Built:
    """Makes the version in the run's folder that also holds the games asked for; opens it.

    Nothing is fitted: positions are encoded by the encoder and the projection that are there. The
    parent stays as it is. What was broken off goes on.

    Args:
      built: what the config's own index was built to.
      parent: that, or a version of it.

    Raises:
      DataError: no game is left to add; see `read_additions`.
      ResourceError: memory or disk will not suffice.
      Interrupted: a signal came; run the same command again.
    """
    store = run.folder / _ADDITIONS
    if not store.exists():
        records = read_additions(
            asked, parent.data, seed=config.seed, reporter=run.reporter, stop=run.stop
        )
        before = added_store(parent) if parent.added else None
        made_from = {"parent": parent.index.memory.manifest.digest, "records": asked.sha256}
        write_additions(store, records, before, made_from=made_from)
    added = open_store(store)
    data = with_additions(built.data, added)
    rows, known = data.rows_of(ADDED), parent.index.added_keys

    def encode(start: int, end: int) -> Float[np.ndarray, "B D"]:
        old = known[start:end]
        new = rows[start + len(old) : end]
        return np.concatenate([old, keys_of(config, data, built.encoder, built.index.pca, new)])

    path = encode_keys(
        encode,
        len(rows),
        config.keys.dim,
        run.folder / _KEYS,
        made_from=_keys_made_from(built, added),
        chunk_rows=CHUNK_ROWS,
        reporter=run.reporter,
        stop=run.stop,
    )
    out = run.folder / _INDEX
    if not out.exists():
        new = rows[len(known) :]
        positions = data.store.positions.take(new)
        values = {**positions._asdict(), "rows": new}
        keys = open_keys(path)[len(known) :]
        add_to_memory(
            _memory_path(config, parent),
            Rows(keys, values, positions.games),
            out,
            made_from={"additions": added.manifest.digest},
            reporter=run.reporter,
            stop=run.stop,
        )
    return open_version(config, built, run.folder)


def _memory_path(config: GoConfig, built: Built) -> Path:
    return built.added / _INDEX if built.added else memory_path(config, built.index.folder)


def _keys_made_from(built: Built, added: Store) -> dict[str, str]:
    return {
        "encoder": built.encoder.digest,
        "pca": artifacts.read_manifest(built.index.folder / "pca").digest,
        "additions": added.manifest.digest,
    }
