"""The commands that faults are tried on, each at the smallest setting that writes all it can write.

Every one lies in a folder of its own that holds all it reads and writes; `numbers` are what must be
the same however often it was broken off.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from typer.testing import CliRunner, Result

from retrieve_rl.cli.app import app

Words = tuple[str, ...]
OF_THE_MACHINE = ("timings", "peak_memory_bytes", "versions", "device", "files")


@dataclass(frozen=True)
class Command:
    """A command line, and what must be there before it.

    Attributes:
      words: "@" stands for the folder.
      before: command lines that have been carried out.
      files: writes what they read.
    """

    name: str
    words: Words
    before: tuple[Words, ...] = ()
    files: Callable[[Path], None] = lambda folder: None


def prepare(command: Command, folder: Path) -> Path:
    """Everything that is there when the command begins."""
    folder.mkdir(parents=True)
    command.files(folder)
    for words in command.before:
        done = call(words, folder)
        if done.exit_code:
            raise RuntimeError(
                f"{words} exited {done.exit_code}: {done.output}"
            ) from done.exception
    return folder


def call(words: Words, folder: Path) -> Result:
    """The command line in this process; `Killed` comes through."""
    arguments = [word.replace("@", str(folder)) for word in words]
    with mock.patch.dict(os.environ, surroundings(folder)):
        return CliRunner().invoke(app, arguments, prog_name="rrl")


def surroundings(folder: Path) -> dict[str, str]:
    """Environment variables that keep all but compiled programs in the folder."""
    compiled = jax.config.values["jax_compilation_cache_dir"]
    return {
        **({"JAX_COMPILATION_CACHE_DIR": compiled} if compiled else {}),
        "RRL_RUNS": str(folder / "runs"),
        "RRL_CELLS": str(folder / "cells"),
        "MINARI_DATASETS_PATH": str(folder / "data"),
    }


def numbers(printed: str) -> Any:
    """What a command printed as JSON, without what only describes the machine."""
    return _kept(json.loads(printed))


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two documents of numbers are not the same."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        told = (differences(one[name], other[name], f"{place}.{name}") for name in one)
        return [place for places in told for place in places]
    return [] if one == other else [f"{place}: {one!r} and {other!r}"]


def _kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _kept(item)
            for name, item in value.items()
            if name not in OF_THE_MACHINE and "second" not in name
        }
    if isinstance(value, list):
        return [_kept(item) for item in value]
    return value
