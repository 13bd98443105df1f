"""Reading many records: one result for any number of workers, and every rejection counted."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.go import games
from retrieve_rl.go.games import Source, read_records
from retrieve_rl.go.points import BLACK, WHITE
from retrieve_rl.go.selection import Selection
from retrieve_rl.go.sgf import Reason
from retrieve_rl.progress import Reporter

ALL_FILES = (
    "cgos_2016_2018.tar.gz",
    "minigo_program.tar.gz",
    "az_selfplay_2023.tar.gz",
    "program_selfplay_26k.sgf.gz",
    "ogs_strong_8k.sgf.gz",
    "ogs_amateur_177k.sgf.gz",
    "openings_150.tar.gz",
)
NAMED = "KM[7]RE[B+3]PB[bot]BR[2d]WR[2150]"


def read(*sources, **options):
    options = {"fraction": 1.0, "seed": 0, "workers": 1, **options}
    sources = [Source(part) if isinstance(part, Path) else part for part in sources]
    return read_records(sources, reporter=Reporter(verbosity=-1), **options)


def same(first, second):
    assert first.rejected == second.rejected and first.games.texts == second.games.texts
    for one, other in zip(first.positions, second.positions, strict=True):
        np.testing.assert_array_equal(one, other)
    for name, column in first.games.columns.items():
        np.testing.assert_array_equal(column, second.games.columns[name])


@pytest.fixture
def collection(tmp_path, random_sgf):
    """Twenty good games, the sixth given twice."""
    texts = [random_sgf(seed, moves=20 + seed) for seed in range(20)]
    path = tmp_path / "many.sgf.gz"
    path.write_bytes(gzip.compress(b"".join([*texts, texts[5]])))
    return path


def test_rows_follow_their_games(collection):
    records = read(collection)
    assert len(records.games) == 20 and records.rejected == {"duplicate": 1}
    lengths = np.arange(20) + 20
    np.testing.assert_array_equal(records.games.lengths, lengths)
    np.testing.assert_array_equal(records.positions.games, np.repeat(np.arange(20), lengths))
    np.testing.assert_array_equal(records.games.entries, np.arange(20))
    assert set(records.games.named(records.games.sources)) == {"many.sgf.gz"}


@pytest.mark.parametrize("workers", [2, 3])
def test_the_result_is_the_same_for_any_number_of_workers(collection, monkeypatch, workers):
    one = read(collection, fraction=0.5, seed=7)
    monkeypatch.setattr(games, "_GAMES_AT_ONCE", 3)
    same(read(collection, fraction=0.5, seed=7), one)
    same(read(collection, fraction=0.5, seed=7, workers=workers), one)


def test_every_rejection_is_counted(tmp_path, random_sgf):
    texts = {
        Reason.BROKEN: "(;SZ[9]KM[7]RE[B+R];B",
        Reason.TOO_LARGE: f"(;SZ[9]KM[7]RE[B+R]C[{'x' * 1_000_000}];B[aa])",
        Reason.NOT_GO: "(;GM[3]SZ[9])",
        Reason.BOARD_SIZE: "(;SZ[13]KM[7]RE[B+R];B[aa])",
        Reason.LATE_SETUP: "(;SZ[9]KM[7]RE[B+R];B[aa];AW[bb])",
        Reason.BAD_SETUP: "(;SZ[9]KM[7]RE[B+R]AB[ab][ba]AW[aa];W[ii])",
        Reason.OFF_BOARD: "(;SZ[9]KM[7]RE[B+R];B[jj])",
        Reason.TOO_LONG: f"(;SZ[9]KM[7]RE[B+R]{';B[];W[]' * 1001})",
        Reason.TURNS: "(;SZ[9]KM[7]RE[B+R];B[aa];B[bb])",
        Reason.OCCUPIED: "(;SZ[9]KM[7]RE[B+R];B[aa];W[aa])",
        Reason.KO: "(;SZ[9]KM[7]RE[B+R]AB[ba][ab][bc]AW[ca][db][cc][bb];B[cb];W[bb])",
        Reason.SUICIDE: "(;SZ[9]KM[7]RE[B+R]AB[ba][ab];W[aa])",
        Reason.NO_MOVES: "(;SZ[9]KM[7]RE[B+R])",
        Reason.NO_RESULT: "(;SZ[9]KM[7]RE[Void];B[aa])",
        Reason.NO_KOMI: "(;SZ[9]RE[B+R];B[aa])",
        Reason.FILTERED: "(;SZ[9]KM[7]RE[B+R]PB[Ann]PW[Bob];B[aa])",
    }
    for number, text in enumerate(texts.values()):
        (tmp_path / f"{number:02}.sgf").write_text(text)
    (tmp_path / "98.sgf").write_bytes(random_sgf(1))
    (tmp_path / "99.sgf").write_bytes(random_sgf(1))
    records = read(Source(tmp_path, Selection(players=("",))))
    expected = {reason.value: 1 for reason in [*texts, Reason.DUPLICATE]}
    assert set(texts) | {Reason.DUPLICATE} == set(Reason)
    assert records.rejected == expected and len(records.games) == 1


def test_sources_without_a_usable_game_are_refused(tmp_path):
    (tmp_path / "a.sgf").write_text("(;SZ[19];B[aa])")
    with pytest.raises(DataError, match="another board size: 1"):
        read(tmp_path)
    (tmp_path / "a.sgf").write_text("no game")
    with pytest.raises(DataError, match="no game at all"):
        read(tmp_path)


def test_the_first_of_several_sources_keeps_a_duplicate(collection, tmp_path, random_sgf):
    other = tmp_path / "other.sgf"
    other.write_bytes(random_sgf(3, moves=23) + random_sgf(99))
    ahead, behind = read(collection, other), read(other, collection)
    assert ahead.rejected == behind.rejected == {"duplicate": 2}
    named = ahead.games.named(ahead.games.sources)
    assert named.tolist() == ["many.sgf.gz"] * 20 + ["other.sgf"]
    assert behind.games.named(behind.games.sources[:2]).tolist() == ["other.sgf"] * 2
    assert set(map(bytes, ahead.games.digests)) == set(map(bytes, behind.games.digests))


def test_sampling_keeps_its_share_by_seed_and_game_alone(collection, bundled, tmp_path, random_sgf):
    half, again, other = (read(collection, fraction=0.5, seed=seed) for seed in (1, 1, 2))
    same(half, again)
    everything = read(collection).positions.num_positions
    assert 0.4 < half.positions.num_positions / everything < 0.6
    assert half.positions.plies.tolist() != other.positions.plies.tolist()
    assert len(half.games) == len(other.games) == 20
    extra = tmp_path / "extra.sgf"
    extra.write_bytes(random_sgf(99))
    more = read(extra, collection, fraction=0.5, seed=1)
    kept = more.positions.take(more.positions.games > 0)
    np.testing.assert_array_equal(kept.plies, half.positions.plies)
    np.testing.assert_array_equal(kept.boards, half.positions.boards)
    # A smaller share is part of a larger one.
    few = read(collection, fraction=0.2, seed=1).positions
    pairs = set(zip(few.games.tolist(), few.plies.tolist(), strict=True))
    assert pairs < set(
        zip(half.positions.games.tolist(), half.positions.plies.tolist(), strict=True)
    )


def test_only_the_named_side(tmp_path, random_sgf):
    path = tmp_path / "a.sgf"
    path.write_bytes(random_sgf(1, header=NAMED) + random_sgf(2, header="KM[7]RE[W+3]PW[bot]"))
    records = read(Source(path, Selection(named_side_only=True)))
    sides = [set(records.positions.to_move[records.positions.games == n].tolist()) for n in (0, 1)]
    assert sides == [{BLACK}, {WHITE}] and records.positions.num_positions == 40
    assert read(path).positions.num_positions == 80


def test_columns_of_a_game(tmp_path):
    path = tmp_path / "a.sgf"
    header = "(;SZ[9]KM[6.5]RU[Chinese]HA[2]RE[W+2.5]PB[bot]PW[Ann]BR[2d]WR[2150]AB[aa][ii]"
    path.write_text(f"{header};W[ee];B[];W[])")
    table = read(path).games
    assert table.named(table.players).tolist() == [["bot", "Ann"]]
    assert table.named(table.rules).tolist() == ["Chinese"]
    assert (table.outcomes[0], table.margins[0], table.komi[0]) == (-1, -2.5, 6.5)
    assert (table.handicaps[0], table.lengths[0], table.area_scores[0]) == (2, 3, 1)
    assert not table.area_disagrees[0]
    np.testing.assert_array_equal(table.ratings, [[np.nan, 2150]])
    np.testing.assert_array_equal(table.ranks, [[2, -128]])


def test_results_that_the_area_contradicts_are_marked(tmp_path):
    path = tmp_path / "a.sgf"
    texts = [
        f"(;SZ[9]KM[{komi}]RE[{result}];B[{point}];W[];B[])"
        for komi, result, point in (
            ("7", "B+R", "aa"),  # Black owns all
            ("7", "W+R", "bb"),
            ("80.5", "W+0.5", "ca"),
            ("80.5", "B+R", "dd"),
        )
    ]
    path.write_text(
        "\n".join(texts) + "(;SZ[9]KM[81]RE[0];B[ee];W[];B[])(;SZ[9]KM[7]RE[W+R];B[ed])"
    )
    table = read(path).games
    assert table.played_out.tolist() == [True] * 5 + [False]
    assert table.area_disagrees.tolist() == [False, True, True, False, False, False]


def test_reading_does_not_import_jax():
    code = "import sys, retrieve_rl.go.store; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_bundled_records(bundled):
    assert len(bundled.games) == 4438 and bundled.positions.num_positions == 287_066
    assert bundled.rejected == {}
    assert (bundled.games.outcomes == 0).sum() == 410
    assert set(bundled.games.komi) == {7.0} and bundled.games.ratings.min() >= 2000
    assert not bundled.games.repeats.any()
    # CGOS counts by area with dead stones taken off: its 978 games that were played out agree.
    counted = bundled.games.played_out
    assert counted.sum() == 978 and not bundled.games.area_disagrees.any()
    margins = bundled.games.area_scores - bundled.games.komi
    np.testing.assert_array_equal(margins[counted], bundled.games.margins[counted])


def test_the_bundled_records_are_the_ones_they_are_made_from(bundled, big_records):
    original = read(big_records / "cgos_2016_2018.tar.gz")
    for one, other in zip(bundled.positions, original.positions, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in set(original.games.columns) - {"sources", "players", "rules"}:
        np.testing.assert_array_equal(bundled.games.columns[name], original.games.columns[name])
    for name in ("players", "rules"):
        texts = [
            records.games.named(records.games.columns[name]) for records in (bundled, original)
        ]
        np.testing.assert_array_equal(*texts)


@pytest.mark.slow
def test_all_big_records_are_read(big_records):
    records = read(*(big_records / name for name in ALL_FILES), workers=2)
    assert len(records.games) > 210_000 and records.positions.num_positions > 10_900_000
    assert set(records.rejected) == {"duplicate", "no moves", "no komi recorded"}
