"""Artifacts: directories that appear whole or not at all, and are verified before they are read.

An artifact holds `MANIFEST.json` (kind, schema version, size and sha256 of every file, the digests
of what it was made from) beside its files. Writing goes to a temporary sibling that is fsynced and
renamed, so a crash leaves the old state or the new one. Reading refuses a file that is missing,
changed or not listed before any other code opens it.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from retrieve_rl import durable
from retrieve_rl.documents import digest_of, read_document, to_json, write_document
from retrieve_rl.durable import remove, write_file
from retrieve_rl.errors import DataError, UsageError

__all__ = [
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "Manifest",
    "create",
    "link_files",
    "load_arrays",
    "lock",
    "read_manifest",
    "remove",
    "save_arrays",
    "sha256_of",
    "sha256_of_arrays",
    "to_json",
    "verify",
    "write_file",
]

MANIFEST_NAME = "MANIFEST.json"
_TIMINGS = "timings"
SCHEMA_VERSION = 1


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Manifest:
    """What an artifact says of itself.

    Attributes:
      kind: what the directory holds ("dataset", "memory", "checkpoint", ...).
      schema_version: version of this layout.
      files: relative path -> {"size": bytes, "sha256": hex digest}.
      made_from: name -> digest of each artifact this one was made from.
      metadata: facts a reader needs before it opens the files; strict JSON.
      digest: sha256 of all of the above but metadata["timings"]; the artifact's identity, the same
        however long the machine took.
    """

    kind: str
    schema_version: int
    files: dict[str, dict[str, Any]]
    made_from: dict[str, str]
    metadata: dict[str, Any]
    digest: str

    def __post_init__(self) -> None:
        for name, entry in self.files.items():
            types = {key: type(value) for key, value in entry.items()}
            if types != {"size": int, "sha256": str}:
                raise ValueError(f"files: {name!r} is described by {entry}")


@contextlib.contextmanager
def create(
    path: Path,
    *,
    kind: str,
    made_from: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    described: Mapping[str, dict[str, Any]] | None = None,
) -> Iterator[Path]:
    """Yields an empty folder to fill; on a clean exit it becomes the artifact at `path`.

    `metadata` is read when the block ends, so the block may add to it; so is `described`, the
    manifest entries of files that came from a verified artifact by `link_files` and need not be
    read again. An artifact already at `path` is replaced. On any exception nothing changes at
    `path`.

    Raises:
      ResourceError: the disk is full.
    """
    with durable.disk_errors(path):
        building = durable.folder_beside(path)
        try:
            yield building
            known = described or {}
            files = {
                name: known.get(name) or _describe(building / name)
                for name in _file_names(building)
            }
            for name in files.keys() - known.keys():
                durable.sync_file(building / name)
            for folder in {(building / name).parent for name in files}:
                durable.sync_folder(folder)
            manifest = {
                "kind": kind,
                "schema_version": SCHEMA_VERSION,
                "files": files,
                "made_from": dict(made_from or {}),
                "metadata": dict(metadata or {}),
            }
            write_document(building / MANIFEST_NAME, manifest)
            durable.put(building, path)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def link_files(source: Path, manifest: Manifest, building: Path, into: str = "") -> dict[str, Any]:
    """Brings the files of the artifact `source` into `building` / `into` without copying bytes.

    Both artifacts then own them: either may be deleted or moved. Where the file system has no hard
    links, they are copied. Returns their manifest entries, for `create(described=...)`.
    """
    entries = {}
    for name, entry in manifest.files.items():
        relative = (Path(into) / name).as_posix()
        durable.link(source / name, building / relative)
        entries[relative] = entry
    return entries


def verify(path: Path, *, kind: str | None = None, within: str = "") -> Manifest:
    """Checks every byte of the artifact at `path` against its manifest.

    `within` names a folder of it, for a process that will read nothing else.

    Raises:
      DataError: no manifest, another kind or schema, or a file missing, changed, linked or not
        listed.
    """
    manifest = read_manifest(path, kind=kind)
    prefix = f"{within}/" if within else ""
    found = {name for name in _file_names(path) if name.startswith(prefix)} - {MANIFEST_NAME}
    for name in sorted(found - set(manifest.files)):
        raise DataError(
            f"{path / name} is not listed in {MANIFEST_NAME}: remove it or rebuild {path}"
        )
    for name, expected in manifest.files.items():
        if not name.startswith(prefix):
            continue
        file = path / name
        if name not in found:
            raise DataError(f"{file} is missing: rebuild {path}")
        if file.stat().st_size != expected["size"]:
            raise DataError(
                f"{file} has {file.stat().st_size} bytes, {MANIFEST_NAME} says {expected['size']}:"
                f" rebuild {path}"
            )
        if sha256_of(file) != expected["sha256"]:
            raise DataError(
                f"{file} has changed since it was written (sha256 differs): rebuild {path}"
            )
    return manifest


def read_manifest(path: Path, *, kind: str | None = None) -> Manifest:
    """The manifest at `path`, without reading the other files. Raises DataError."""
    file = path / MANIFEST_NAME
    if not file.is_file():
        raise DataError(f"{path} is not an artifact: it has no {MANIFEST_NAME}")
    document = read_document(file, schema_version=SCHEMA_VERSION)
    try:
        manifest = Manifest(**document, digest=_identity(document))
    except (TypeError, ValueError) as error:
        raise DataError(f"{file} is no manifest: {_first_problem(error)}") from None
    if kind is not None and manifest.kind != kind:
        raise DataError(f"{path} holds a {manifest.kind}, expected a {kind}")
    return manifest


@contextlib.contextmanager
def lock(
    path: Path, *, wait_seconds: float = 0.0, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Holds `<path>.lock` for one writer; the kernel frees it when the process dies.

    What a writer of `path` that died left beside it is deleted.

    Args:
      waiting: called again and again while another process holds it; may raise.

    Raises:
      UsageError: another live process still holds it after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file_path = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + wait_seconds
    with open(file_path, "a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    owner = file.read().strip() or "another process"
                    raise UsageError(
                        f"{path} is being written by {owner}: wait for it, or choose another --runs"
                    ) from None
                waiting()
                time.sleep(0.2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        durable.remove_temporaries(path.parent, path.name)
        yield


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Hex digest over names, dtypes, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an uncompressed npz (its CRC-32 is checked by every reader)."""
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads an npz whole; object arrays are refused (ValueError)."""
    # NumPy leaves a file open that it opened and cannot read.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _identity(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata")
    if isinstance(metadata, dict):
        timeless = {name: fact for name, fact in metadata.items() if name != _TIMINGS}
        manifest = {**manifest, "metadata": timeless}
    return digest_of(manifest)


def _file_names(folder: Path) -> list[str]:
    names = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise DataError(f"{path} is a link; an artifact holds plain files only")
        if path.is_file():
            names.append(path.relative_to(folder).as_posix())
    return names


def _describe(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": sha256_of(path)}


def _first_problem(error: TypeError | ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
