"""Sound parts of two runs that do not belong together."""

from pathlib import Path

from artifacts_to_damage import SCENES
from commands import call
from damage import Noticed, swap_parts
from inputs import COMMANDS

_HASH = "[0-9a-f]" * 16
_OTHER_SEED = ("--seed", "1")
PAIRINGS: dict[str, tuple[str, dict[str, str]]] = {
    "Re:Frame run": (
        "train-policy",
        {
            "runs/train-policy/*/*/checkpoints": "runs/train-policy/*/*/checkpoints",
            f"runs/memories/{_HASH}": f"runs/memories/{_HASH}",
            "data.hdf5": "other.hdf5",
            "experts.hdf5": "other.hdf5",
            # Last: reading it makes the memory of the other seed.
            "runs/train-policy/*/*/result.json": "runs/train-policy/*/*/result.json",
        },
    ),
    "Go run": (
        "Go: train-policy",
        {
            "runs/train-policy/*/*/checkpoints": "runs/train-policy/*/*/checkpoints",
            "runs/train-policy/*/*/result.json": "runs/train-policy/*/*/result.json",
            f"runs/encoders/{_HASH}": f"runs/encoders/{_HASH}",
            f"runs/indexes/{_HASH}": f"runs/indexes/{_HASH}",
            f"runs/indexes/{_HASH}/pca": f"runs/indexes/{_HASH}/pca",
            f"runs/indexes/{_HASH}/keys": f"runs/indexes/{_HASH}/keys",
        },
    ),
}
"""Scene -> the command that makes it, and its parts; the other run has another seed."""


def mix_runs(scene: str, folder: Path) -> Noticed:
    """Puts each part of a run with another seed into a run, one after the other."""
    name, parts = PAIRINGS[scene]
    one, other = folder / "one", folder / "other"
    for place, seed in ((one, ()), (other, _OTHER_SEED)):
        place.mkdir(parents=True)
        COMMANDS[name].files(place)
        words = (*COMMANDS[name].words, *seed)
        done = call(words, place)
        if done.exit_code:
            raise RuntimeError(f"{words} exited {done.exit_code}: {done.output}")
    SCENES[scene].read(one)
    return swap_parts(one, other, parts, lambda: SCENES[scene].read(one))
