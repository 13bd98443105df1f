"""The time that a training took, of all the processes it took: a line of JSON a checkpoint."""

import sys
from pathlib import Path
from typing import NamedTuple

import jax

from retrieve_rl.training import json_lines

FILE_NAME = "spent.jsonl"


class Spent(NamedTuple):
    """What a training took.

    Attributes:
      seconds: from start or checkpoint to checkpoint; what a killed process had not saved is not
        among them.
      devices: the kinds it ran on, in order, joined by commas.
    """

    seconds: float
    devices: str


def log_spent(folder: Path, step: int, seconds: float) -> None:
    """Appends what it took to come to the checkpoint of `step` from the one before."""
    device = jax.devices()[0].device_kind
    json_lines.append(folder / FILE_NAME, {"step": step, "seconds": seconds, "device": device})


def forget_cut_lines(folder: Path) -> None:
    """Drops lines that a kill cut short."""
    json_lines.forget_after(folder / FILE_NAME, sys.maxsize)


def spent(folder: Path) -> Spent:
    """What the training of the run in `folder` has taken until now. Raises DataError."""
    lines = json_lines.read(folder / FILE_NAME, "seconds", "device")
    kinds = dict.fromkeys(line["device"] for line in lines)
    return Spent(sum(line["seconds"] for line in lines), ", ".join(kinds))
