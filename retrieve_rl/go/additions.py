"""Games that enter a retrieval set after everything was fitted, in a store of their own."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from retrieve_rl.errors import DataError
from retrieve_rl.go.data import GoData
from retrieve_rl.go.game_table import concatenate_games
from retrieve_rl.go.games import Records, Source, read_records
from retrieve_rl.go.positions import Positions, concatenate_positions
from retrieve_rl.go.sources import digest_of_records
from retrieve_rl.go.splits import ADDED, TEST, VALIDATION
from retrieve_rl.go.store import Store, write_store
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest

KNOWN = "already in the retrieval set"
HELD_OUT = "held out for validation or test"
NOT_NEEDED = "more than the positions asked for"


@dataclass(frozen=True)
class Additions:
    """What is to be added.

    Attributes:
      files: records of games; see `games.Source`.
      digests: of each, see `digest_of_records`.
      positions: how many positions, in whole games drawn by the seed; None for all.
    """

    files: tuple[Path, ...]
    digests: tuple[str, ...]
    positions: int | None = None

    @property
    def sha256(self) -> str:
        """Of the digests, in their order."""
        return hashlib.sha256(" ".join(self.digests).encode()).hexdigest()


def additions(files: Sequence[Path], positions: int | None = None) -> Additions:
    """Looks at every byte of the files. Raises DataError where there is nothing."""
    return Additions(tuple(files), tuple(map(digest_of_records, files)), positions)


def read_additions(
    asked: Additions, data: GoData, *, seed: int, reporter: Reporter, stop: StopRequest
) -> Records:
    """The games that may be added, with all their positions.

    Left out, and counted as `rejected` with what `read_records` leaves out: games that are the same
    up to symmetry as one of the retrieval set or as one held out.

    Args:
      data: of the version that grows.
      seed: draws the games where not all positions are asked for. Of the last game drawn only the
        first positions are taken, so that their number is exact.

    Raises:
      DataError: nothing is left, or fewer positions than asked for.
      Interrupted: a signal asked to stop.
    """
    sources = [Source(path) for path in asked.files]
    records = read_records(sources, fraction=1.0, seed=0, reporter=reporter, stop=stop)
    found = data.store.games.find(records.games.digests)
    held_out = (found >= 0) & np.isin(data.split[found], (VALIDATION, TEST))
    rejected = Counter(records.rejected)
    rejected[HELD_OUT] = int(held_out.sum())
    rejected[KNOWN] = int(np.sum((found >= 0) & ~held_out))
    rows = np.flatnonzero(found[records.positions.games] < 0)
    if asked.positions is not None:
        rows = _of_drawn_games(records.positions, rows, asked.positions, seed)
    taken = np.unique(records.positions.games[rows])
    rejected[NOT_NEEDED] = int(np.sum(found < 0)) - len(taken)
    rejected = +rejected
    if not len(rows):
        reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted(rejected.items()))
        raise DataError(f"no game is left to add ({reasons})")
    return Records(
        positions=_renumbered(records.positions.take(rows), taken),
        games=records.games.select(taken),
        rejected=dict(sorted(rejected.items())),
    )


def write_additions(
    path: Path, records: Records, before: Store | None, *, made_from: Mapping[str, str]
) -> None:
    """Writes a store of all that was ever added: `before`, then the records.

    Its metadata says how much of it is of `before`; its "rejected" are those of the records.
    """
    counts = (0, 0) if before is None else (len(before.games), before.positions.num_positions)
    new = records.positions
    if before is not None:
        new = concatenate_positions([before.positions, _after(new, len(before.games))])
    games = records.games if before is None else concatenate_games([before.games, records.games])
    write_store(
        path,
        Records(new, games, records.rejected),
        made_from=made_from,
        metadata={"games_before": counts[0], "positions_before": counts[1]},
    )


def with_additions(data: GoData, added: Store) -> GoData:
    """The same data with games of the part ADDED after its own, in memory."""
    store = data.store
    positions = _after(added.positions, len(store.games))
    return GoData(
        Store(
            concatenate_positions([store.positions, positions]),
            concatenate_games([store.games, added.games]),
            store.manifest,
        ),
        np.append(data.split, np.full(len(added.games), ADDED, np.int8)),
        data.training_rows,
    )


def _of_drawn_games(
    positions: Positions, rows: Int[np.ndarray, " N"], count: int, seed: int
) -> Int[np.ndarray, " M"]:
    if len(rows) < count:
        raise DataError(f"{count} positions are asked for, the new games have {len(rows)}")
    order = np.random.default_rng([seed, 5]).permutation(int(positions.games.max()) + 1)
    drawn = np.argsort(order[positions.games[rows]], kind="stable")[:count]
    return np.sort(rows[drawn])


def _renumbered(positions: Positions, games: Int[np.ndarray, " G"]) -> Positions:
    """With the games' numbers among `games`, which rise."""
    return positions._replace(games=np.searchsorted(games, positions.games).astype(np.int32))


def _after(positions: Positions, num_games: int) -> Positions:
    """With games numbered after so many others."""
    return positions._replace(games=positions.games + np.int32(num_games))
