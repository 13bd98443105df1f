"""`partial.json`: what an interrupted run leaves, until it is finished."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from retrieve_rl.errors import Interrupted

if TYPE_CHECKING:
    from retrieve_rl.go.config import GoConfig
    from retrieve_rl.go.match_config import MatchConfig
    from retrieve_rl.reframe.config import ReframeConfig


@contextmanager
def keep_partial(
    folder: Path, command: str, config: "ReframeConfig | GoConfig | MatchConfig"
) -> Iterator[None]:
    """Writes `partial.json` where a signal stops the block, and removes it where the block ends.

    A `result.json` would say that the run is finished.
    """
    from retrieve_rl import artifacts

    partial = folder / "partial.json"
    try:
        yield
    except Interrupted as error:
        document = {
            "command": command,
            "status": "interrupted",
            "message": str(error),
            "config": config.model_dump(mode="json"),
            "seed": config.seed,
            "last_step": _last_step(folder),
        }
        artifacts.write_file(partial, artifacts.to_json(document))
        raise
    partial.unlink(missing_ok=True)


def _last_step(folder: Path) -> int | None:
    """The step of the newest checkpoint, from which the run will go on."""
    from retrieve_rl.artifacts import read_manifest
    from retrieve_rl.training.checkpoints import latest_checkpoint

    checkpoint = latest_checkpoint(folder / "checkpoints")
    return int(read_manifest(checkpoint).metadata["step"]) if checkpoint else None
