"""Cutting keys into cells of near ones, in one pass over keys that need not fit into memory.

A search then asks only the cells nearest to the query; with rows spread over shards at random it
would have to ask all of them.
"""

import hashlib
import json
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2

from retrieve_rl import artifacts
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.keys import check_finite, chunks, read_at_random
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.retrieval.quality import RecallTest
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.signals import StopRequest

_SAMPLED_RUNS, _RUN_ROWS = 256, 256
_CELLS_PER_SHARD = 3
"""Cells are smaller than a shard may be, since they are not of equal size."""


@dataclass(frozen=True)
class Cell:
    """Keys that make a shard.

    Attributes:
      keys: its keys, in memory or memory-mapped.
      rows: their row numbers: that of the first where they follow one another, else all of them.
      half: of its rows, where there are two.
      center: around which they lie; None where the cell is no more than a piece of the keys.
    """

    keys: Float[np.ndarray, "R D"]
    rows: int | Int[np.ndarray, " R"]
    half: int | None
    center: Float[np.ndarray, " D"] | None


@dataclass(frozen=True)
class Prepared:
    """Keys that have been looked over.

    Attributes:
      cells: hold every row once.
      test: the recall test, with its truth.
      digest: of all keys.
      made_from: digests of all that decides which rows a cell holds.
    """

    cells: list[Cell]
    test: RecallTest
    digest: str
    made_from: dict[str, str]


def in_pieces(rows: Rows, piece_rows: int) -> Prepared:
    """Cells of consecutive rows (of each half), of at most `piece_rows`."""
    test, digest = RecallTest.draw(rows.keys), _new_digest(rows.keys)
    for start, chunk in chunks(rows.keys):
        test = _look_over(chunk, start, digest, test)
    cells = []
    for half, members in _halves(rows):
        pieces = -(-len(members) // piece_rows)
        borders = [len(members) * piece // pieces for piece in range(pieces + 1)]
        for low, high in pairwise(borders):
            if isinstance(members, range):
                cells.append(Cell(rows.keys[low:high], low, half, None))
            else:
                cells.append(Cell(rows.keys[members[low:high]], members[low:high], half, None))
    found = digest.hexdigest()
    return Prepared(cells, test, found, _made_from(rows, found, piece_rows))


def by_location(
    rows: Rows, folder: Path, shard_rows: int, reporter: Reporter, stop: StopRequest
) -> Prepared:
    """Cells around the centers of k-means, their keys copied into files under `folder`.

    One pass reads every key once: it is checked, digested, compared with the recall test's queries
    and appended to its cell. A pass that was finished earlier is not done again.

    Raises:
      DataError: a key is not finite.
      Interrupted: a signal asked to stop; the pass starts anew next time.
    """
    done = folder / "done.json"
    if done.exists():
        facts = json.loads(done.read_text())
        if facts["made_from"] == _made_from(rows, digest_of(rows.keys), shard_rows):
            return _open(rows, folder, facts, shard_rows)
    if folder.exists():
        artifacts.remove(folder)
    folder.mkdir(parents=True)
    cells = [
        (half, center, folder / f"{half or 0}-{number:05d}")
        for half, members in _halves(rows)
        for number, center in enumerate(_centers(rows.keys, members, shard_rows))
    ]
    test, digest = RecallTest.draw(rows.keys), _new_digest(rows.keys)
    counts = np.zeros(len(cells), np.int64)
    with reporter.track("cutting keys into cells", len(rows.keys)) as advance:
        for start, chunk in chunks(rows.keys):
            stop.raise_if_requested("run again to cut the keys anew")
            test = _look_over(chunk, start, digest, test)
            halves = None if rows.second_half is None else rows.second_half[start:][: len(chunk)]
            counts += _append(chunk, start, halves, cells)
            advance(start + len(chunk))
    facts = {
        "made_from": _made_from(rows, digest.hexdigest(), shard_rows),
        "cells": [
            {"name": path.name, "half": half, "center": center.tolist(), "count": int(count)}
            for (half, center, path), count in zip(cells, counts, strict=True)
            if count
        ],
    }
    artifacts.save_arrays(folder / "truth.npz", dict(zip(_TRUTH, test.truth, strict=True)))
    artifacts.write_file(done, artifacts.to_json(facts))
    return _open(rows, folder, facts, shard_rows)


_TRUTH = ("indices", "distances")


def digest_of(keys: Float[np.ndarray, "N D"]) -> str:
    """The digest in `Prepared`, without preparing anything."""
    digest = _new_digest(keys)
    for _, chunk in chunks(keys):
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest()


def _made_from(rows: Rows, keys_digest: str, shard_rows: int) -> dict[str, str]:
    halves = {} if rows.second_half is None else {"second_half": rows.second_half}
    return {
        "keys": keys_digest,
        "halves": artifacts.sha256_of_arrays(halves),
        "shard_rows": str(shard_rows),
    }


def _open(rows: Rows, folder: Path, facts: dict[str, Any], shard_rows: int) -> Prepared:
    test = RecallTest.draw(rows.keys)
    truth = artifacts.load_arrays(folder / "truth.npz")
    test = test.knowing(Neighbors(*(truth[name] for name in _TRUTH)))
    cells = []
    for cell in facts["cells"]:
        path, count = folder / cell["name"], cell["count"]
        shape = (count, rows.keys.shape[1])
        keys = np.memmap(path.with_suffix(".keys"), np.float32, "r", shape=shape)
        ids = np.memmap(path.with_suffix(".rows"), np.int32, "r", shape=(count,))
        pieces = -(-count // shard_rows)
        center = np.asarray(cell["center"], np.float32)
        for part in np.array_split(np.arange(count), pieces):
            piece = slice(int(part[0]), int(part[-1]) + 1)
            cells.append(Cell(keys[piece], np.array(ids[piece]), cell["half"], center))
    return Prepared(cells, test, facts["made_from"]["keys"], facts["made_from"])


def _look_over(chunk: np.ndarray, start: int, digest: Any, test: RecallTest) -> RecallTest:
    chunk = np.ascontiguousarray(chunk)
    check_finite(chunk, "the key matrix", first_row=start)
    digest.update(chunk.data)
    return test.seeing(chunk, start)


def _append(
    chunk: Float[np.ndarray, "R D"],
    start: int,
    second_half: np.ndarray | None,
    cells: list[tuple[int | None, np.ndarray, Path]],
) -> Int[np.ndarray, " C"]:
    """Appends every key to the nearest cell of its half; returns how many each cell got."""
    centers = np.stack([center for _, center, _ in cells])
    scores = 2 * chunk @ centers.T - np.sum(centers**2, axis=1)
    if second_half is not None:
        of_second = np.array([half == 1 for half, _, _ in cells])
        scores[second_half[:, None] != of_second] = -np.inf
    nearest = np.argmax(scores, axis=1)
    order = np.argsort(nearest, kind="stable")
    counts = np.bincount(nearest, minlength=len(cells))
    keys, ids = chunk[order], (order + start).astype(np.int32)
    for (_, _, path), (low, high) in zip(
        cells, pairwise([0, *np.cumsum(counts).tolist()]), strict=True
    ):
        for suffix, part in ((".keys", keys), (".rows", ids)):
            with open(path.with_suffix(suffix), "ab") as file:
                file.write(np.ascontiguousarray(part[low:high]).data)
    return counts


def _centers(
    keys: Float[np.ndarray, "N D"], members: range | np.ndarray, shard_rows: int
) -> Float[np.ndarray, "C D"]:
    """Centers of as many cells as make each, on average, a third of a shard."""
    number = -(-_CELLS_PER_SHARD * len(members) // shard_rows)
    # Runs of rows, since a disk reads a single row no faster than its neighborhood.
    runs = max(1, min(_SAMPLED_RUNS, len(members) // _RUN_ROWS))
    starts = np.linspace(0, max(len(members) - _RUN_ROWS, 0), runs).astype(np.int64)
    positions = (starts[:, None] + np.arange(min(_RUN_ROWS, len(members)))).ravel()
    with read_at_random(keys):
        sample = keys[np.asarray(members)[positions]]
    with warnings.catch_warnings():
        # A cell that nothing falls into is left out later.
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)
        rng = np.random.default_rng(0)
        number = min(number, len(np.unique(sample, axis=0)))
        centers, _ = kmeans2(sample, number, iter=20, minit="++", rng=rng)
    return centers.astype(np.float32)


def _halves(rows: Rows) -> list[tuple[int | None, range | np.ndarray]]:
    if rows.second_half is None:
        return [(None, range(len(rows.keys)))]
    return [(half, np.flatnonzero(rows.second_half == bool(half))) for half in (0, 1)]


def _new_digest(keys: np.ndarray) -> Any:
    return hashlib.sha256(repr(keys.shape).encode())
