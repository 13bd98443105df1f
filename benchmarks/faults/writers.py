"""Several processes at once on one run, index or data set: one works, the others wait or say so."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands import Command, Words, differences, numbers, prepare, surroundings
from sweep import damaged, left_lying

_AT_WORK = 2
"""The exit code of one that finds another at work."""


@dataclass
class Round:
    """What became of the processes of one round; `wrong` tells of what did not go well."""

    finished: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


def start(words: Words, folder: Path) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    arguments = [word.replace("@", str(folder)) for word in words]
    return subprocess.Popen(
        [sys.executable, "-m", "retrieve_rl.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **surroundings(folder)},
    )


def write_at_once(command: Command, folder: Path, writers: int) -> Round:
    """Starts the command so many times in one folder, and once more when all have ended."""
    found = Round()
    prepare(command, folder)
    documents: list[Any] = []
    for child in [start(command.words, folder) for _ in range(writers)]:
        printed, said = child.communicate()
        if child.returncode == 0:
            found.finished += 1
            documents.append(numbers(printed))
        elif child.returncode == _AT_WORK and "is being written by" in said:
            found.refused += 1
        else:
            found.wrong.append(f"{command.name}: one exited {child.returncode}: {said[-500:]}")
    found.wrong += [f"{command.name}: {story}" for story in damaged(folder)]
    printed, said = start(command.words, folder).communicate()
    documents.append(numbers(printed) if printed else f"nothing was printed: {said[-500:]}")
    found.wrong += [
        f"{command.name}: other numbers at {place}"
        for document in documents[1:]
        for place in differences(documents[0], document)
    ]
    found.wrong += [f"{command.name}: {name} was left" for name in left_lying(folder)]
    shutil.rmtree(folder)
    return found
