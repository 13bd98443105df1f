"""Matrices too large for memory, computed in chunks of rows; a broken-off computation goes on."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest

ComputeFn = Callable[[int, int], Mapping[str, np.ndarray]]


class RowType(NamedTuple):
    """What one row of a file holds.

    Attributes:
      dtype: of its numbers.
      shape: of the row.
    """

    dtype: type[np.number]
    shape: tuple[int, ...]


def fill_rows(
    out: Path,
    columns: Mapping[str, RowType],
    num_rows: int,
    compute: ComputeFn,
    *,
    kind: str,
    made_from: Mapping[str, str],
    chunk_rows: int,
    title: str,
    reporter: Reporter,
    stop: StopRequest,
) -> Path:
    """Fills the artifact `out`, one npy file a column, with `compute(start, stop)`.

    `made_from` (name -> digest) names all that the rows are computed from: an artifact that was
    made from the same is kept as it is, and work on it goes on after its last whole chunk.

    Raises:
      UsageError: another process is filling `out`.
      Interrupted: a signal asked to stop; the chunks so far are kept.
    """
    types = {name: [np.dtype(row.dtype).str, *row.shape] for name, row in columns.items()}
    facts = {"columns": types, "num_rows": num_rows}
    with artifacts.lock(out):
        if out.exists():
            manifest = artifacts.verify(out, kind=kind)
            if (manifest.made_from, manifest.metadata) == (dict(made_from), facts):
                return out
        partial = out.with_name(f".{out.name}.partial")
        progress = partial / "progress.json"
        work = {"made_from": dict(made_from), **facts}
        done = _rows_done(progress, work)
        if not done:
            _start(partial, columns, num_rows)
        with reporter.track(title, num_rows, start=done) as advance:

            def finished(end: int) -> None:
                artifacts.write_file(progress, artifacts.to_json({**work, "done": end}))
                advance(end)

            starts = range(done, num_rows, chunk_rows)
            _fill(partial, columns, starts, num_rows, compute, finished, stop)
        with artifacts.create(out, kind=kind, made_from=made_from, metadata=facts) as folder:
            for name in columns:
                (partial / f"{name}.npy").rename(folder / f"{name}.npy")
        artifacts.remove(partial)
    return out


def _fill(
    partial: Path,
    names: Iterable[str],
    starts: range,
    num_rows: int,
    compute: ComputeFn,
    finished: Callable[[int], None],
    stop: StopRequest,
) -> None:
    """Computes chunk after chunk; one is written while the next is computed."""
    files = {name: np.lib.format.open_memmap(partial / f"{name}.npy", mode="r+") for name in names}

    def write(start: int, computed: Mapping[str, np.ndarray]) -> None:
        for name, rows in computed.items():
            files[name][start : start + len(rows)] = rows
            files[name].flush()
        finished(min(start + starts.step, num_rows))

    written: Future[None] | None = None
    with ThreadPoolExecutor(1) as writer:
        for start in starts:
            if written is not None and stop.requested:
                written.result()
            stop.raise_if_requested(f"{start} of {num_rows} rows are kept: run again to go on")
            computed = compute(start, min(start + starts.step, num_rows))
            if written is not None:
                written.result()
            written = writer.submit(write, start, computed)
        if written is not None:
            written.result()


def _rows_done(progress: Path, work: Mapping[str, object]) -> int:
    """Rows of the same work that an earlier process finished."""
    if not progress.exists():
        return 0
    said = json.loads(progress.read_text())
    done = said.pop("done", 0)
    return done if said == work else 0


def _start(partial: Path, columns: Mapping[str, RowType], num_rows: int) -> None:
    if partial.exists():
        artifacts.remove(partial)
    partial.mkdir(parents=True)
    for name, row in columns.items():
        np.lib.format.open_memmap(
            partial / f"{name}.npy", mode="w+", dtype=row.dtype, shape=(num_rows, *row.shape)
        )
