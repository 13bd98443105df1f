"""JSON documents on disk: strict, and sealed by a digest of their own."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from retrieve_rl.durable import write_file
from retrieve_rl.errors import DataError

_SEAL = "sha256"


def to_json(document: Any) -> str:
    """Strict JSON: sorted keys, no NaN (raises ValueError)."""
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"


def digest_of(document: Mapping[str, Any]) -> str:
    """sha256 of the document as `to_json` writes it."""
    return hashlib.sha256(to_json(document).encode()).hexdigest()


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Replaces `path` by the document and, as its key "sha256", its digest.

    Raises:
      ResourceError: the disk is full; `path` is as it was.
      ValueError: it has a key "sha256" of its own.
    """
    if _SEAL in document:
        raise ValueError(f"{_SEAL!r} is the key of the digest")
    write_file(path, _sealed(document))


def read_document(path: Path, *, schema_version: int | None = None) -> dict[str, Any]:
    """The document at `path` without its seal; any change but of line ends is noticed.

    One without a seal, as they were written before there were seals, is taken as it is.

    Args:
      schema_version: what the document's own must be; None where it has none.

    Raises:
      DataError: it cannot be read, is no strict JSON object, has changed since it was written, or
        has another schema version.
    """
    text, document = _parsed(path)
    if schema_version is not None:
        check_version(path, document.get("schema_version"), schema_version)
    if _SEAL in document:
        del document[_SEAL]
        if text != _sealed(document):
            raise DataError(f"{path} has changed since it was written (sha256 differs)")
    return document


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object at `path`, written by whomever.

    Raises:
      DataError: it cannot be read, or is no JSON object, or names a key twice, or holds a NaN.
    """
    return _parsed(path)[1]


def check_version(path: Path, found: object, expected: int) -> None:
    """Raises DataError unless the document at `path` has the schema version that is expected."""
    if found == expected:
        return
    if found is None:
        raise DataError(f"{path} has no schema version: this program did not write it")
    newer = isinstance(found, int) and found > expected
    remedy = "take a newer version of this program, or make it again" if newer else "make it again"
    raise DataError(f"{path} has schema version {found}, this program reads {expected}: {remedy}")


def _sealed(document: Mapping[str, Any]) -> str:
    return to_json({**document, _SEAL: digest_of(document)})


def _parsed(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite
        )
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise DataError(f"{path} holds a {type(document).__name__}, expected a JSON object")
    return text, document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"a key is there twice: {next(n for n in names if names.count(n) > 1)}")
    return document


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
