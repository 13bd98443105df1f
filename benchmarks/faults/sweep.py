"""Every call that changes the disk fails once, and is once the last one of its process.

Afterwards no artifact, result or document that is visible is damaged, what was there before is
still there, and the command run again ends with the numbers of one that nothing happened to, and
leaves nothing lying about.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from commands import Command, call, differences, numbers, prepare
from shim import Killed, Mode, Shim, shimmed

from retrieve_rl import artifacts
from retrieve_rl.documents import read_json
from retrieve_rl.errors import DataError
from retrieve_rl.results import read_result

_WORK = (".partial", ".shards")
"""Folders of unfinished work, which may be half written; the work itself knows how far it is."""
_FULL_DISK, _CELL_FAILED = 4, 6


class Whole(NamedTuple):
    """A command that nothing happened to.

    Attributes:
      numbers: what it printed.
      artifacts: where those lie that were there before and after it.
      calls: that changed the disk, of either mode.
    """

    numbers: Any
    artifacts: set[str]
    calls: dict[Mode, list[str]]


@dataclass
class Counts:
    """What became of a command under faults; `wrong` tells of each that did not go well."""

    struck: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def sweep(
    command: Command,
    folder: Path,
    *,
    modes: Iterable[Mode] = ("fail", "die"),
    every: int = 1,
    advance: Callable[[int], None] = lambda done: None,
) -> Counts:
    """Strikes at every n-th call of the command, in a folder that is laid anew each time."""
    began, counts = time.monotonic(), Counts()
    before = prepare(command, folder / "at work")
    template = folder / "template"
    before.rename(template)
    whole = _whole(command, template, before)
    for mode in modes:
        for at in range(1, len(whole.calls[mode]) + 1, every):
            _lay(template, before)
            shim = Shim(before, at, mode)
            told = _struck(command, before, shim, whole)
            counts.struck += 1
            place = f"{command.name}, {mode} at {at}: {whole.calls[mode][at - 1]}"
            counts.wrong += [f"{place}: {problem}" for problem in told]
            advance(counts.struck)
    shutil.rmtree(folder)
    counts.seconds = time.monotonic() - began
    return counts


def damaged(folder: Path) -> list[str]:
    """What is visible below the folder and cannot be read."""
    found = []
    for path in _visible(folder):
        try:
            if path.name == artifacts.MANIFEST_NAME:
                artifacts.verify(path.parent)
            elif path.name == "result.json":
                read_result(path)
            elif path.suffix == ".json" and not (path.parent / artifacts.MANIFEST_NAME).exists():
                read_json(path)
        except DataError as error:
            found.append(str(error))
    return found


def left_lying(folder: Path) -> list[str]:
    """Temporary files and unfinished work below the folder."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob(".*")
        if ".tmp-" in path.name or path.name.endswith(_WORK)
    ]


def _whole(command: Command, template: Path, folder: Path) -> Whole:
    calls: dict[Mode, list[str]] = {}
    modes: tuple[Mode, ...] = ("fail", "die")
    for mode in modes:
        _lay(template, folder)
        there = _artifacts(folder)
        with shimmed(Shim(folder, mode=mode)) as shim:
            done = call(command.words, folder)
        if done.exit_code:
            raise RuntimeError(f"{command.name} exited {done.exit_code}: {done.output}")
        calls[mode] = shim.calls
    return Whole(numbers(done.stdout), there & _artifacts(folder), calls)


def _struck(command: Command, folder: Path, shim: Shim, whole: Whole) -> list[str]:
    """What is wrong after the stroke, and after the command was run again."""
    try:
        with shimmed(shim):
            done = call(command.words, folder)
    except Killed:
        pass
    else:
        if shim.dead:
            return ["it went on after its death"]
        ends = (0, _FULL_DISK, *[_CELL_FAILED] * (command.words[0] == "ablate"))
        if done.exit_code not in ends or "Traceback" in done.output:
            return [f"it exited {done.exit_code}: {done.output} {done.exception!r}"]
    wrong = damaged(folder)
    kept = whole.artifacts
    if "--force" in command.words and command.words[0] == "train-policy":
        kept = set()  # starting over deletes what there was
    wrong += [f"{name} is gone" for name in kept - _artifacts(folder)]
    again = call(command.words, folder)
    if again.exit_code:
        return [*wrong, f"run again it exited {again.exit_code}: {again.output}"]
    other = differences(whole.numbers, numbers(again.stdout))
    wrong += [f"run again it has other numbers at {place}" for place in other]
    return wrong + [f"{name} was left" for name in left_lying(folder)]


def _lay(template: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)


def _artifacts(folder: Path) -> set[str]:
    return {
        str(path.parent.relative_to(folder))
        for path in _visible(folder)
        if path.name == artifacts.MANIFEST_NAME
    }


def _visible(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
