"""One row a game: how it was set up, who won, and whose each point was at the end."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int8, Int32, UInt8, UInt16

from retrieve_rl.go.digests import DIGEST_BYTES
from retrieve_rl.go.points import PACKED_BYTES, PASS
from retrieve_rl.go.selection import rank, rating
from retrieve_rl.go.sgf import Game

_TWO_PASSES = bytes((PASS, PASS))


@dataclass(frozen=True)
class Games:
    """Columns over G games. Texts are numbers of entries in `texts`, whose entry 0 is "".

    Attributes:
      digests: what `game_digest` says of each game; its identity everywhere.
      outcomes: as recorded, the value target: 1 Black won, 0 draw, -1 White won.
      margins: Black's points minus White's as recorded; NaN where the result names no number.
      komi: points given to White.
      handicaps: as recorded; 0 where none is.
      lengths: moves, passes included.
      final_boards: the board after the last move, two bits a point.
      owners: the color that owns each point of it by area, two bits a point. Stones that the
        players knew to be dead count as alive; a board that was not played out says little.
      area_scores: Black's points minus White's on the last board by area, without komi.
      played_out: the last two moves are passes, so that the last board is meant to be counted.
      area_disagrees: the game was played out, and the area score and komi give another outcome
        than the recorded one: dead stones were left, or another rule decided.
      repeats: some move repeated an earlier position, as only Japanese rules allow.
      players: texts; Black's and White's names.
      ratings: Black's and White's, NaN unless recorded as a number.
      ranks: Black's and White's in steps above 1 kyu, NO_RANK unless recorded as a rank.
      rules: texts; as recorded.
      sources: texts; the file.
      entries: number of the game in its file, from 0.
    """

    digests: UInt8[np.ndarray, "G 16"]
    outcomes: Int8[np.ndarray, " G"]
    margins: Float32[np.ndarray, " G"]
    komi: Float32[np.ndarray, " G"]
    handicaps: UInt8[np.ndarray, " G"]
    lengths: UInt16[np.ndarray, " G"]
    final_boards: UInt8[np.ndarray, "G 21"]
    owners: UInt8[np.ndarray, "G 21"]
    area_scores: Int8[np.ndarray, " G"]
    played_out: Bool[np.ndarray, " G"]
    area_disagrees: Bool[np.ndarray, " G"]
    repeats: Bool[np.ndarray, " G"]
    players: Int32[np.ndarray, "G 2"]
    ratings: Float32[np.ndarray, "G 2"]
    ranks: Int8[np.ndarray, "G 2"]
    rules: Int32[np.ndarray, " G"]
    sources: Int32[np.ndarray, " G"]
    entries: Int32[np.ndarray, " G"]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All but `texts`, by name."""
        return {name: getattr(self, name) for name in COLUMNS}

    def select(self, chosen: Int[np.ndarray, " M"] | Bool[np.ndarray, " G"]) -> "Games":
        """The games chosen by number or mask."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Games(**columns, texts=self.texts)

    def find(self, digests: UInt8[np.ndarray, "M 16"]) -> Int[np.ndarray, " M"]:
        """The row of the game with each digest; -1 where there is none."""
        rows = {bytes(digest): row for row, digest in enumerate(self.digests)}
        return np.array([rows.get(bytes(digest), -1) for digest in digests], np.int64)

    def named(self, texts: Int[np.ndarray, "*B"]) -> np.ndarray:
        """The strings behind numbers of texts, as an array of the same shape."""
        return np.array(self.texts)[texts]


COLUMNS = tuple(field.name for field in dataclasses.fields(Games) if field.name != "texts")
TEXT_COLUMNS = ("players", "rules", "sources")


def game_table(
    games: Sequence[Game],
    *,
    digests: Sequence[bytes],
    sources: Sequence[str],
    entries: Sequence[int],
    final_boards: UInt8[np.ndarray, "G 21"],
    owners: UInt8[np.ndarray, "G 21"],
    area_scores: Int8[np.ndarray, " G"],
    repeats: Bool[np.ndarray, " G"],
) -> Games:
    """The table of games that have a result and a komi, in this order."""
    numbers = {"": 0}

    def number(text: str) -> int:
        return numbers.setdefault(text, len(numbers))

    outcomes = np.array([game.outcome for game in games], np.int8)
    komi = np.array([game.komi for game in games], np.float32)
    played_out = np.array([game.moves[-2:] == _TWO_PASSES for game in games], bool)
    margins = [np.nan if game.margin is None else game.margin for game in games]
    ratings = [[rating(text) for text in game.ratings] for game in games]
    columns = {
        "digests": np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES),
        "outcomes": outcomes,
        "margins": np.array(margins, np.float32),
        "komi": komi,
        "handicaps": np.array([game.handicap for game in games], np.uint8),
        "lengths": np.array([len(game.moves) for game in games], np.uint16),
        "final_boards": final_boards,
        "owners": owners,
        "area_scores": area_scores,
        "played_out": played_out,
        "area_disagrees": played_out & (np.sign(area_scores - komi) != outcomes),
        "repeats": repeats,
        "players": np.array([[number(name) for name in game.names] for game in games], np.int32),
        "ratings": np.array(ratings, np.float32),
        "ranks": np.array([[rank(text) for text in game.ratings] for game in games], np.int8),
        "rules": np.array([number(game.rules) for game in games], np.int32),
        "sources": np.array([number(source) for source in sources], np.int32),
        "entries": np.array(entries, np.int32),
    }
    for name in ("players", "ratings", "ranks"):
        columns[name] = columns[name].reshape(-1, 2)  # no games make [0]
    return Games(**columns, texts=tuple(numbers))


def no_games() -> Games:
    """The empty table."""
    boards = np.zeros((0, PACKED_BYTES), np.uint8)
    return game_table(
        [],
        digests=[],
        sources=[],
        entries=[],
        final_boards=boards,
        owners=boards,
        area_scores=np.zeros(0, np.int8),
        repeats=np.zeros(0, bool),
    )


def concatenate_games(tables: Sequence[Games]) -> Games:
    """One table after the other, with one list of texts."""
    tables = [no_games(), *tables]
    numbers: dict[str, int] = {}
    translations = [
        np.array([numbers.setdefault(text, len(numbers)) for text in table.texts], np.int32)
        for table in tables
    ]
    columns = {
        name: np.concatenate(
            [
                translation[table.columns[name]] if name in TEXT_COLUMNS else table.columns[name]
                for table, translation in zip(tables, translations, strict=True)
            ]
        )
        for name in COLUMNS
    }
    return Games(**columns, texts=tuple(numbers))
