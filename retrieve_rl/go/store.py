"""The tables of positions and games as an artifact: memory-mapped columns, verified when opened."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.go.game_table import COLUMNS, Games
from retrieve_rl.go.games import Records
from retrieve_rl.go.positions import Positions

KIND = "positions"
_TEXTS = "texts.json"
_POSITIONS, _GAMES = "positions", "games"


@dataclass(frozen=True)
class Store:
    """An open store.

    Attributes:
      positions, games: the tables; columns are mapped into memory, not read.
      manifest: `metadata` has "games", "positions" and "rejected" (games by reason), beside what
        the writer added; `digest` names the store in what is made from it.
    """

    positions: Positions
    games: Games
    manifest: artifacts.Manifest


def write_store(
    path: Path,
    records: Records,
    *,
    made_from: Mapping[str, str],
    metadata: Mapping[str, Any],
) -> None:
    """Writes the records as the artifact at `path`, replacing what is there.

    Args:
      made_from: name -> sha256 of each file of records.
      metadata: what a reader should know beside the counts; strict JSON.

    Raises:
      ResourceError: the disk is full; nothing has changed at `path`.
    """
    described = {
        **metadata,
        "games": len(records.games),
        "positions": records.positions.num_positions,
        "rejected": records.rejected,
    }
    with artifacts.create(path, kind=KIND, made_from=made_from, metadata=described) as folder:
        _write_columns(folder / _POSITIONS, records.positions._asdict())
        _write_columns(folder / _GAMES, records.games.columns)
        (folder / _TEXTS).write_text(artifacts.to_json(list(records.games.texts)))


def open_store(path: Path) -> Store:
    """Opens the store at `path` after checking every byte of it.

    Raises:
      DataError: it is missing, damaged, of another kind, or its tables do not fit together.
    """
    manifest = artifacts.verify(path, kind=KIND)
    try:
        positions = Positions(*_open_columns(path / _POSITIONS, Positions._fields))
        columns = dict(zip(COLUMNS, _open_columns(path / _GAMES, COLUMNS), strict=True))
        texts = tuple(json.loads((path / _TEXTS).read_text()))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no store of positions: {error}; rebuild it") from None
    games = Games(**columns, texts=texts)
    lengths = ({len(column) for column in positions}, {len(column) for column in columns.values()})
    counts = ({manifest.metadata.get("positions")}, {manifest.metadata.get("games")})
    if lengths != counts:
        raise DataError(f"{path} has columns of {lengths} rows, expected {counts}: rebuild it")
    return Store(positions, games, manifest)


def _write_columns(folder: Path, columns: Mapping[str, np.ndarray]) -> None:
    folder.mkdir()
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column, allow_pickle=False)


def _open_columns(folder: Path, names: tuple[str, ...]) -> list[np.ndarray]:
    return [np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names]
