"""An interpreter serves where it runs, is of the version, and can make environments."""

import sys

import pytest
from installs import find_python, install

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_interpreters_that_do_not_run_are_passed_over(tmp_path, monkeypatch):
    broken, sound = tmp_path / "broken", tmp_path / "sound"
    for folder, line in ((broken, "exit 1"), (sound, f'exec "{sys.executable}" "$@"')):
        folder.mkdir()
        (folder / f"python{VERSION}").write_text(f"#!/bin/sh\n{line}\n")
        (folder / f"python{VERSION}").chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken}:{sound}")
    assert find_python(VERSION) == sound / f"python{VERSION}"
    assert find_python("3.99") is None


def test_the_step_that_failed_is_named(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="-m venv .*exit 1: no room"):
        install(python, tmp_path, tmp_path)
