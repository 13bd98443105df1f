"""Reading SGF to packed positions beside sgfmill, which reads the same games and replays them.

Both get the bundled collection as it lies on the disk and run on one core. Ours unpacks it, cuts
it into games, reads and checks them, plays them by the rules, superko included, packs every
position with what followed it, and makes the table of games. sgfmill parses the same texts, cut
beforehand, and plays the moves on its board: no positions come out of it.

Our reading on all cores, processes started, gives the time of eleven million positions.
"""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import result_file
from turns import in_turn, medians

from retrieve_rl.go.archives import game_texts
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.games import Records, Source, read_records
from retrieve_rl.processes import usable_cores
from retrieve_rl.progress import Reporter

with warnings.catch_warnings():
    # Python 3.12 and later warn of escapes in sgfmill's source, once, when it is compiled.
    warnings.simplefilter("ignore", SyntaxWarning)
    from sgfmill import sgf, sgf_moves

MANY_POSITIONS = 11_000_000


def read_by_sgfmill(texts: Sequence[bytes]) -> int:
    """Parses and replays every game; returns the number of moves."""
    moves = 0
    for text in texts:
        board, plays = sgf_moves.get_setup_and_moves(sgf.Sgf_game.from_bytes(text))
        for color, point in plays:
            if point is not None:
                board.play(*point, color)
        moves += len(plays)
    return moves


def read_by_ours(source: Source, workers: int) -> Records:
    return read_records([source], fraction=1.0, seed=0, reporter=Reporter(-1), workers=workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=Path, metavar="FILE", help="instead of the bundled games")
    parser.add_argument("--rounds", type=int, default=5)
    default = result_file.RESULTS / "bench-sgf-reading.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    source = Source(options.games) if options.games else bundled_records()
    texts = [text.text for text in game_texts(source.path)]
    positions = read_by_ours(source, 1).positions.num_positions
    samples = in_turn(
        {
            "ours": lambda: read_by_ours(source, 1),
            "sgfmill": lambda: read_by_sgfmill(texts),
            "ours_all_cores": lambda: read_by_ours(source, usable_cores()),
        },
        options.rounds,
    )
    seconds = medians(samples)
    result_file.write(
        options.out,
        benchmark="sgf-reading",
        what=__doc__,
        summary={
            "vs_sgfmill": seconds["sgfmill"] / seconds["ours"],
            "seconds_for_11_million": MANY_POSITIONS / positions * seconds["ours_all_cores"],
            "positions_per_second": positions / seconds["ours"],
            "positions_per_second_all_cores": positions / seconds["ours_all_cores"],
        },
        packages=("numpy", "sgfmill"),
        games=len(texts),
        positions=positions,
        samples=samples,
    )


if __name__ == "__main__":
    main()
