"""How Go search grows: seconds of a move against simulations, and against games at once.

As `go_search.py` measures them, one size after the other; simulations are varied in 32 games, games
at 200 simulations.
"""

import argparse
from pathlib import Path

import go_search
import result_file
from growth import Panel, draw, slopes

SIMULATIONS, GAMES = (25, 50, 100, 200, 400), (1, 4, 8, 16, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, nargs="+", default=SIMULATIONS)
    parser.add_argument("--games", type=int, nargs="+", default=GAMES)
    parser.add_argument("--preset", default="default", help="as `rrl list presets`")
    default = result_file.RESULTS / "bench-search-growth.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    by_simulations = {
        count: go_search.cost(max(GAMES), count, options.preset).move_seconds
        for count in options.simulations
    }
    by_games = {
        count: go_search.cost(count, 200, options.preset).move_seconds for count in options.games
    }
    result_file.write(
        options.out,
        benchmark="search-growth",
        what=__doc__,
        summary=slopes(simulations=by_simulations, games=by_games),
        packages=("jax", "mctx"),
        seconds_by_simulations=by_simulations,
        seconds_by_games=by_games,
    )
    panels = (
        Panel("simulations", "seconds a move", {"32 games at once": by_simulations}),
        Panel("games at once", "seconds a move", {"200 simulations": by_games}),
    )
    draw(panels, "A move of the Go search", options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
