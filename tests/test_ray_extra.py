"""Without Ray."""

import pytest

from retrieve_rl.errors import MissingDependencyError
from retrieve_rl.ray_extra import import_ray


def test_without_ray_the_extra_is_named(monkeypatch):
    def missing(name, *arguments):
        raise ImportError(name)

    monkeypatch.setattr("builtins.__import__", missing)
    with pytest.raises(MissingDependencyError, match=r"retrieve-rl\[ray\]"):
        import_ray()
