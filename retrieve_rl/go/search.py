"""Monte-Carlo tree search over a learned model, many positions in one batch.

The search of the paper is MuZero's (Humphreys et al. 2022, section 3.3): pUCT, neighbors at the
root alone. What lies below the root is imagined by the model: it never retrieves, knows no rules,
and goes on after a game would have ended.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mctx
from jaxtyping import Bool, Float, Int, PRNGKeyArray, PyTree
from pydantic import Field

from retrieve_rl.config import Strict
from retrieve_rl.go.choices import PlayerKind
from retrieve_rl.go.model import PolicyValue
from retrieve_rl.go.tree_search import StepFn, search_tree
from retrieve_rl.types import Array


class SearchConfig(Strict):
    """How a move is chosen."""

    player: PlayerKind = "puct"
    """puct: MuZero's search, the paper's; gumbel: Gumbel MuZero's; prior: the policy, no search."""
    num_simulations: int = Field(200, ge=1)
    """Of a search; the paper's number."""
    pb_c_init: float = Field(1.25, gt=0.0)
    """Exploration of puct; MuZero's number."""
    max_considered: int = Field(16, ge=1)
    """Moves of the root that gumbel looks at."""


class Found(NamedTuple):
    """What a search says.

    Attributes:
      moves: the chosen ones, always allowed.
      shares: puct: of the simulations, how many went to each move; gumbel: its improved policy;
        prior: the policy. Zero where not allowed.
      values: of the positions after the search, as the player to move sees them.
    """

    moves: Int[Array, " B"]
    shares: Float[Array, "B A"]
    values: Float[Array, " B"]


def search(
    step: StepFn,
    params: PyTree,
    embedding: PyTree,
    estimate: PolicyValue,
    allowed: Bool[Array, "B A"],
    config: SearchConfig,
) -> Found:
    """Chooses a move for each position, without noise and at temperature 0; pure.

    The move of puct is the one with most simulations; of several the one with the highest value,
    then the first. gumbel and the prior take the first of equals; inside its tree gumbel breaks
    ties by lot, always the same for a row of the batch.

    Args:
      embedding: of the positions, neighbors included.
      estimate: of the same.
      allowed: at least one move of each position; the others are never chosen. Below the root the
        model alone says what is likely.
    """
    if config.player == "prior":
        logits = jnp.where(allowed, estimate.logits, -jnp.inf)
        moves = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        return Found(moves, jax.nn.softmax(logits), estimate.value)
    if config.player == "gumbel":
        root = mctx.RootFnOutput(
            prior_logits=estimate.logits, value=estimate.value, embedding=embedding
        )
        output = mctx.gumbel_muzero_policy(
            params,
            jax.random.key(0),
            root,
            partial(_recur, step),
            config.num_simulations,
            invalid_actions=~allowed,
            max_num_considered_actions=config.max_considered,
            gumbel_scale=0.0,
        )
        values = output.search_tree.node_values[:, mctx.Tree.ROOT_INDEX]
        return Found(output.action, jnp.where(allowed, output.action_weights, 0.0), values)
    found = search_tree(
        step,
        params,
        embedding,
        estimate,
        allowed,
        num_simulations=config.num_simulations,
        pb_c_init=config.pb_c_init,
    )
    ranks = jnp.where(allowed, found.visits + 0.25 * found.values, -jnp.inf)
    moves = jnp.argmax(ranks, axis=-1).astype(jnp.int32)
    return Found(moves, found.visits / config.num_simulations, found.value)


def _recur(
    step: StepFn, params: PyTree, key: PRNGKeyArray, moves: Int[Array, " B"], embedding: PyTree
) -> tuple[mctx.RecurrentFnOutput, PyTree]:
    del key
    embedding, estimate = step(params, embedding, moves)
    # What is good for the player to move is bad for the other (google-deepmind/mctx#24); outcomes
    # come as values alone.
    output = mctx.RecurrentFnOutput(
        reward=jnp.zeros_like(estimate.value),
        discount=-jnp.ones_like(estimate.value),
        prior_logits=estimate.logits,
        value=estimate.value,
    )
    return output, embedding
