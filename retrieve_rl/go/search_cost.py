"""What a move costs: how much of its time the network takes, and how many simulations a second."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from retrieve_rl.go.agent import Agent, Question, embed, step
from retrieve_rl.go.model import predict
from retrieve_rl.go.neighbor_inputs import RetrievalSet
from retrieve_rl.go.referee import GameState
from retrieve_rl.training.state import Params
from retrieve_rl.types import Array

_REPEATS = 3


class SearchCost(NamedTuple):
    """What moves in some positions cost, all at once; medians of three.

    Attributes:
      move_positions: how many.
      move_seconds: wall time of moves in all of them.
      simulations_per_second: of all of them together; 0 without a search.
      network_share: of that time, the same network calls without a search take: one at the roots
        and one for every simulation, each of the whole batch.
      retrieval_share: of that time, the encoder and the index take; 0 without neighbors. All else
        is the tree, on the device, and the host.
    """

    move_positions: float
    move_seconds: float
    simulations_per_second: float
    network_share: float
    retrieval_share: float


def search_cost(agent: Agent, states: Sequence[GameState]) -> SearchCost:
    """Measures moves in these positions; nothing else should run.

    Args:
      states: as many as a batch has; see `agent.BATCH_SIZES`.
    """
    question = agent.ask(states)
    searching = agent.config.search
    simulations = 0 if searching.player == "prior" else searching.num_simulations
    alone = partial(
        _network_alone,
        agent.policy.graphdef,
        simulations,
        agent.policy.params,
        agent.known,
        agent.policy.distance_scale,
        question,
    )
    whole, network, retrieval = _seconds_in_turn(
        lambda: agent.decide(states),
        lambda: jax.block_until_ready(alone()),
        lambda: agent.retrieve(states, question.positions, question.komi),
    )
    return SearchCost(
        move_positions=float(len(states)),
        move_seconds=whole,
        simulations_per_second=len(states) * simulations / whole,
        network_share=min(network / whole, 1.0),
        retrieval_share=min(retrieval / whole, 1.0) if agent.known is not None else 0.0,
    )


def _seconds_in_turn(*works: Callable[[], object]) -> list[float]:
    """The median of each, after a round that compiles."""
    took: list[list[float]] = []
    for _ in range(_REPEATS + 1):
        took.append([])
        for work in works:
            began = time.perf_counter()
            work()
            took[-1].append(time.perf_counter() - began)
    return [float(median) for median in np.median(took[1:], axis=0)]


@partial(jax.jit, static_argnames=("graphdef", "simulations"))
def _network_alone(
    graphdef: nnx.GraphDef,
    simulations: int,
    params: Params,
    known: RetrievalSet | None,
    distance_scale: Float[Array, ""] | float,
    question: Question,
) -> Float[Array, " B"]:
    embedding = embed(graphdef, params, known, distance_scale, question)
    estimate = predict(graphdef, params, embedding)

    def one_more(number: int, carried: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        del number
        embedding, logits, total = carried
        # Every output counts, so that the compiler can leave nothing out.
        embedding, said = step(graphdef, params, embedding, jnp.argmax(logits, axis=-1))
        return embedding, said.logits, total + said.value

    carried = (embedding, estimate.logits, estimate.value)
    return jax.lax.fori_loop(0, simulations, one_more, carried)[2]
