"""The records that ship with the package."""

from importlib import resources
from pathlib import Path

from retrieve_rl.go.games import Source


def bundled_records() -> Source:
    """4,438 games between programs on CGOS, both rated 2000 or more, komi 7, from 2016 to 2018.

    Moves and headers only; `records/README.md` in this package names their origin and license.
    """
    folder = Path(str(resources.files("retrieve_rl.go"))) / "records"
    return Source(folder / "cgos_2016_2018.sgf.gz")
