"""Where the records of a source lie, and whether they are those that were meant."""

import hashlib
import os
from pathlib import Path

from retrieve_rl.artifacts import sha256_of
from retrieve_rl.errors import DataError
from retrieve_rl.go.bundled import bundled_records

BUNDLED = "bundled"


def locate(file: str, sha256: str, folder: str) -> Path:
    """The path of a source, after a look at every byte of it.

    Args:
      file: "bundled", or a path below `folder`.
      folder: empty for the one that the environment variable RRL_GAMES names.
      sha256: what `digest_of_records` must say; not asked of the bundled games.

    Raises:
      DataError: missing, or with other content.
    """
    if file == BUNDLED:
        return bundled_records().path
    folder = folder or os.environ.get("RRL_GAMES", "")
    path = Path(folder) / file
    if not folder or not path.exists():
        raise DataError(
            f"{file} is not in {folder or 'any folder'}: name the folder of records with --games"
            " or RRL_GAMES"
        )
    found = digest_of_records(path)
    if found != sha256:
        raise DataError(
            f"{path} has sha256 {found}, expected {sha256}: these are other records; fetch those"
            " that were meant, or name these in a task of their own"
        )
    return path


def digest_of_records(path: Path) -> str:
    """sha256 of a file; of a folder, that of its files' names and digests.

    Raises:
      DataError: there is nothing.
    """
    if path.is_file():
        return sha256_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise DataError(f"{path} is no file and no folder with files: expected game records")
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()} {sha256_of(file)}\n".encode())
    return digest.hexdigest()
