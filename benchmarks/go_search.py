"""Monte-Carlo tree search in 32 games at once, 200 simulations, beside the network alone.

Both compute the roots' embeddings and then, for every simulation, one move of the dynamics and the
heads for all games; the network alone does it without a tree. The network is not trained, and hears
of no neighbors: they enter at the root only, and the index is measured elsewhere.
"""

import argparse
import statistics
from pathlib import Path

import go_positions
import result_file

from retrieve_rl.go.agent import Agent, AgentConfig
from retrieve_rl.go.config import resolve
from retrieve_rl.go.policy import TrainedPolicy, untrained
from retrieve_rl.go.search import SearchConfig
from retrieve_rl.go.search_cost import SearchCost, search_cost


def cost(games: int, simulations: int, preset: str) -> SearchCost:
    """What a move costs in so many games at once."""
    config = resolve("go9", preset=preset, arm="baseline")
    graphdef, state = untrained(config)
    agent = Agent(
        TrainedPolicy(config, graphdef, state.params, 1.0),
        None,
        AgentConfig(search=SearchConfig(num_simulations=simulations), neighbors="none"),
        name="benchmark",
    )
    return search_cost(agent, go_positions.states_in_play(games))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=32)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--preset", default="default", help="as `rrl list presets`")
    parser.add_argument("--rounds", type=int, default=3)
    default = result_file.RESULTS / "bench-go-search.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    # A cost takes turns of three between the search and the network.
    costs = [
        cost(options.games, options.simulations, options.preset) for _ in range(options.rounds)
    ]
    measured = SearchCost(*map(statistics.median, zip(*costs, strict=True)))
    result_file.write(
        options.out,
        benchmark="go-search",
        what=__doc__,
        summary={
            "share_of_network_rate": measured.network_share,
            "simulations_per_second": measured.simulations_per_second,
            "move_milliseconds": measured.move_seconds * 1e3,
        },
        packages=("jax", "mctx"),
        games=options.games,
        simulations=options.simulations,
        costs=[cost._asdict() for cost in costs],
    )


if __name__ == "__main__":
    main()
