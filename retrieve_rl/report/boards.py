"""The boards that `rrl neighbors` drew into a run's folder."""

from pathlib import Path

from retrieve_rl.report.page import Picture


def boards_in(folder: Path) -> list[Picture]:
    """A picture for each position that was looked up there; none where none was."""
    return [
        Picture(
            name=f"neighbors-{svg.stem}",
            alt=f"{svg.stem} and its nearest neighbors, side by side",
            png=svg.with_suffix(".png").read_bytes(),
            # Boards bring their own background.
            light=svg.read_bytes(),
            dark=svg.read_bytes(),
        )
        for svg in sorted((folder / "neighbors").glob("*.svg"))
        if svg.with_suffix(".png").exists()
    ]
