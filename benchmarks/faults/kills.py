"""Commands killed in the middle of their work: what they leave is whole, and they go on from it."""

import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from commands import Command, differences, numbers, prepare
from sweep import damaged, left_lying
from writers import start


@dataclass
class Killed:
    """How often a command was killed, and in how many of them at work; `wrong` as in `sweep`."""

    tried: int = 0
    killed: int = 0
    unreadable: int = 0
    wrong: list[str] = field(default_factory=list)


def kill_often(command: Command, folder: Path, times: int, seed: int = 0) -> Killed:
    """Kills the command at moments drawn over its whole work, each time in a folder laid anew."""
    drawn, found = random.Random(seed), Killed()
    template = prepare(command, folder / "at work").rename(folder / "template")
    place = folder / "at work"
    shutil.copytree(template, place)
    began = time.monotonic()
    printed, _ = start(command.words, place).communicate()
    seconds, whole = time.monotonic() - began, numbers(printed)
    for _ in range(times):
        shutil.rmtree(place)
        shutil.copytree(template, place)
        child = start(command.words, place)
        after = drawn.uniform(0, seconds)
        time.sleep(after)
        child.kill()
        child.communicate()
        found.tried += 1
        found.killed += child.returncode < 0
        story = f"{command.name}, killed after {after:.2f} s"
        unreadable = damaged(place)
        found.unreadable += bool(unreadable)
        again = start(command.words, place)
        printed, said = again.communicate()
        wrong = [*unreadable]
        if again.returncode:
            wrong.append(f"run again it exited {again.returncode}: {said[-500:]}")
        else:
            wrong += [f"other numbers at {one}" for one in differences(whole, numbers(printed))]
            wrong += [f"{name} was left" for name in left_lying(place)]
        found.wrong += [f"{story}: {problem}" for problem in wrong]
    shutil.rmtree(folder)
    return found
