"""The store of a config, made where it is missing, and which of its games are held out."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from retrieve_rl.config import digest
from retrieve_rl.errors import DataError
from retrieve_rl.go.config import RESULTS_VERSION, GoConfig, SourceConfig
from retrieve_rl.go.games import Source, read_records
from retrieve_rl.go.selection import Selection
from retrieve_rl.go.sources import digest_of_records, locate
from retrieve_rl.go.splits import ADDED, TRAINING, split_games
from retrieve_rl.go.store import Store, open_store, write_store
from retrieve_rl.locks import shared
from retrieve_rl.results import Run


@dataclass(frozen=True)
class GoData:
    """An open store and its split.

    Attributes:
      store: positions and games.
      split: TRAINING, VALIDATION, TEST or ADDED for each game.
      training_rows: the positions of training games, the only ones that anything is fitted on.
    """

    store: Store
    split: Int8[np.ndarray, " G"]
    training_rows: Int[np.ndarray, " N"]

    @cached_property
    def retrieval_rows(self) -> Int[np.ndarray, " N"]:
        """The positions that can be neighbors, row for row as the index holds them: those of
        training games, then those that were added."""
        return np.append(self.training_rows, self.rows_of(ADDED))

    def rows_of(self, part: int) -> Int[np.ndarray, " N"]:
        """The positions of the games of one part of the split."""
        return np.flatnonzero(self.split[self.store.positions.games] == part)

    def komi(self, rows: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """The komi of some positions' games."""
        return self.store.games.komi[self.store.positions.games[rows]]

    @property
    def facts(self) -> dict[str, object]:
        """What a result says of its data."""
        metadata = self.store.manifest.metadata
        names = ("training", "validation", "test")
        return {
            "store": self.store.manifest.digest,
            "sources": self.store.manifest.made_from,
            **{name: metadata[name] for name in ("games", "positions", "rejected")},
            **{
                f"{name}_{what}": int(np.sum(split == part))
                for what, split in (
                    ("games", self.split),
                    ("positions", self.split[self.store.positions.games]),
                )
                for part, name in enumerate(names)
            },
        }


def load_data(config: GoConfig, run: Run) -> GoData:
    """Opens the store that this config asks for; reads the records first where there is none.

    Stores are shared by all runs that want the same records.

    Raises:
      DataError: records are missing, damaged or others than meant, or no game can be held out.
    """
    wanted = _wanted_store(config, run.root)
    with shared(wanted.folder, run.reporter, run.stop):
        if not wanted.folder.exists():
            records = read_records(
                wanted.sources,
                fraction=config.data.fraction,
                seed=wanted.seed,
                reporter=run.reporter,
                stop=run.stop,
            )
            write_store(wanted.folder, records, made_from=wanted.made_from, metadata={})
    return split_data(config, open_store(wanted.folder))


def open_data(config: GoConfig, root: Path) -> GoData:
    """Opens the store of this config where `load_data` has made it.

    Raises:
      DataError: it is not there, or damaged, or the records it was made from have changed.
    """
    folder = _wanted_store(config, root).folder
    if not folder.exists():
        raise DataError(f"{folder} is not there; rrl build-index --force makes the store again")
    return split_data(config, open_store(folder))


def split_data(config: GoConfig, store: Store) -> GoData:
    """Splits the store's games.

    Raises:
      DataError: a part stays empty, or a file's name does not tell whether its games may be held
        out.
    """
    split = split_games(
        store.games.digests,
        _may_be_held_out(config, store),
        validation_share=config.data.validation_share,
        test_share=config.data.test_share,
    )
    data = GoData(store, split, np.flatnonzero(split[store.positions.games] == TRAINING))
    parts = np.bincount(split[store.positions.games], minlength=3)
    if not parts.all():
        raise DataError(
            f"training, validation and test games have {parts.tolist()} positions; each needs some:"
            " bring more games, or raise data.validation_share and data.test_share"
        )
    return data


def _may_be_held_out(config: GoConfig, store: Store) -> Bool[np.ndarray, " G"]:
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for source in config.data.sources:
        names[source.held_out].update(_names(_source(source, config.data.folder).path))
    both = sorted(names[True] & names[False])
    if both:
        raise DataError(
            f"a source whose games may be held out and one with held_out = false both have a file"
            f" {both[0]}: games are told apart by the names of their files, so rename one of them"
        )
    return np.isin(store.games.named(store.games.sources), sorted(names[True]))


class _WantedStore(NamedTuple):
    """What a config's store is made from, and where it lies."""

    folder: Path
    sources: list[Source]
    made_from: dict[str, str]
    seed: int


def _wanted_store(config: GoConfig, root: Path) -> _WantedStore:
    sources = [_source(source, config.data.folder) for source in config.data.sources]
    made_from = {
        asked.file: asked.sha256 or digest_of_records(source.path)
        for asked, source in zip(config.data.sources, sources, strict=True)
    }
    seed = config.index.seed if config.data.fraction < 1 else 0
    key = {
        "sources": [source.model_dump(mode="json") for source in config.data.sources],
        "made_from": made_from,
        "fraction": config.data.fraction,
        "seed": seed,
        "version": RESULTS_VERSION,
    }
    return _WantedStore(root / "stores" / digest(key)[:16], sources, made_from, seed)


def _source(config: SourceConfig, folder: str) -> Source:
    selection = Selection(players=config.players, named_side_only=config.named_side_only)
    return Source(locate(config.file, config.sha256, folder), selection)


def _names(path: Path) -> list[str]:
    """What the table of games calls this source's files."""
    if path.is_file():
        return [path.name]
    return [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
