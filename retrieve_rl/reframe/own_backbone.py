"""A backbone of the user's own, named "package.module:Class": where its code lies."""

import hashlib
import importlib.util
import os
import sys
from pathlib import Path

from retrieve_rl.errors import UsageError

SHIPPED = ("dt", "mlp")


def names_of(backbone: str) -> tuple[str, str]:
    """Its module, from now on found in the working directory too, and its class.

    Raises:
      UsageError: it is no name of a class.
    """
    module_name, colon, class_name = backbone.partition(":")
    if not colon:
        raise UsageError(f"backbone {backbone!r} is neither dt, mlp nor package.module:Class")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # The script `rrl` does not search it, unlike `python -m`.
    return module_name, class_name


def source_digest(backbone: str) -> str:
    """sha256 of the file of its module; what that file imports is not in it.

    Raises:
      UsageError: there is no such module.
    """
    module_name, _ = names_of(backbone)
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise UsageError(
            f"backbone {backbone!r} cannot be imported: there is no module {module_name}"
        )
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
