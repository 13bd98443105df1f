"""Ray, where it is installed: the extra `ray`."""

from typing import Any

from retrieve_rl.errors import MissingDependencyError


def import_ray() -> Any:
    """The package. Raises MissingDependencyError."""
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            "Ray is not installed: pip install 'retrieve-rl[ray]'"
        ) from None
    return ray
