"""Matrices too large for memory, computed in chunks of rows; a broken-off computation goes on."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieve_rl import artifacts, durable
from retrieve_rl.documents import read_document, write_document
from retrieve_rl.errors import DataError
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest

_PROGRESS = "progress.json"

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
      ResourceError: the disk cannot hold the rows.
      UsageError: another process is filling `out`.
      Interrupted: a signal asked to stop; the chunks so far are kept.
    """
    types = {name: [np.dtype(row.dtype).str, *row.shape] for name, row in columns.items()}
    facts = {"columns": types, "num_rows": num_rows}
    partial = out.with_name(f".{out.name}.partial")
    with artifacts.lock(out):
        if not _is_filled(out, kind, made_from, facts):
            work = {"made_from": dict(made_from), **facts}
            done = _rows_done(partial, work)
            if not done:
                if partial.exists():
                    artifacts.remove(partial, of=out)
                _start(partial, columns, num_rows)
            with reporter.track(title, num_rows, start=done) as advance:

                def finished(end: int) -> None:
                    write_document(partial / _PROGRESS, {**work, "done": end})
                    advance(end)

                starts = range(done, num_rows, chunk_rows)
                _fill(partial, columns, starts, num_rows, compute, finished, stop)
            with artifacts.create(out, kind=kind, made_from=made_from, metadata=facts) as folder:
                for name in columns:
                    # Linked, so that what took hours is still there if the artifact is not made.
                    durable.link(partial / f"{name}.npy", folder / f"{name}.npy")
        if partial.exists():
            artifacts.remove(partial, of=out)
    return out


def _is_filled(
    out: Path, kind: str, made_from: Mapping[str, str], facts: Mapping[str, object]
) -> bool:
    if not out.exists():
        return False
    manifest = artifacts.verify(out, kind=kind)
    return (manifest.made_from, manifest.metadata) == (dict(made_from), facts)


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


def _rows_done(partial: Path, work: Mapping[str, object]) -> int:
    """Rows of the same work that an earlier process finished."""
    try:
        said = read_document(partial / _PROGRESS)
    except DataError:
        return 0
    done = said.pop("done", 0)
    return done if said == work else 0


def _start(partial: Path, columns: Mapping[str, RowType], num_rows: int) -> None:
    partial.mkdir(parents=True)
    for name, row in columns.items():
        path = partial / f"{name}.npy"
        with durable.disk_errors(path):
            shape = (num_rows, *row.shape)
            np.lib.format.open_memmap(path, mode="w+", dtype=row.dtype, shape=shape)
            durable.reserve(path)
