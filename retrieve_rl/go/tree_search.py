"""pUCT over a learned model, many games in one batch (Schrittwieser et al. 2020, appendix B).

What `mctx.muzero_policy` computes without noise and with `qtransform_by_min_max(-1, 1)`, but for
ties, which it breaks by lot. Written anew because of its loops over single games: vectorized, each
step up a tree copies the tree, which on a CPU takes four times as long as the network. Here the one
loop, down the tree, is over the batch, a node's row is that of all games, and a step writes one
number a game.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, PyTree

from retrieve_rl.go.model import PolicyValue
from retrieve_rl.types import Array

_NO_NODE = -1
_PB_C_BASE = 19652.0

StepFn = Callable[[PyTree, PyTree, Int[Array, " B"]], tuple[PyTree, PolicyValue]]
"""(params, embedding, moves) -> (the embedding after the moves, its estimate); pure."""


class Tree(NamedTuple):
    """Node n of game b is [n, b]; node 0 is the root, and node n was made by simulation n.

    Attributes:
      visits: simulations that came to the node, or to the root; the node's own is the first.
      depths: moves from the root.
      values: mean of what they found, as the player to move at the node sees it.
      priors: of its moves; sums to 1.
      children: the node after each move; -1 where there is none yet.
      embeddings: of the nodes.
    """

    visits: Float[Array, "N B"]
    depths: Int[Array, "N B"]
    values: Float[Array, "N B"]
    priors: Float[Array, "N B A"]
    children: Int[Array, "N B A"]
    embeddings: PyTree


class RootMoves(NamedTuple):
    """What the search has found of the moves of the roots.

    Attributes:
      visits: simulations of each move.
      values: mean of what they found, as the player at the root sees it; 0 without a simulation.
      value: of the roots.
    """

    visits: Float[Array, "B A"]
    values: Float[Array, "B A"]
    value: Float[Array, " B"]


class _Descent(NamedTuple):
    """The way down from the roots, all games at once.

    Attributes:
      depth: of the search; a way that has ended is shorter.
      nodes: where the games are.
      moves: chosen there last.
      going: whether the way leads on; where it does not, the move has no node yet.
      passed: whether the way goes through a node.
    """

    depth: Int[Array, ""]
    nodes: Int[Array, " B"]
    moves: Int[Array, " B"]
    going: Bool[Array, " B"]
    passed: Bool[Array, "N B"]


def search_tree(
    step: StepFn,
    params: PyTree,
    embedding: PyTree,
    estimate: PolicyValue,
    allowed: Bool[Array, "B A"],
    *,
    num_simulations: int,
    pb_c_init: float,
) -> RootMoves:
    """Simulates from the roots; pure. Ties go to the first move.

    A move that was not yet tried counts as lost, -1, the least of outcomes. Values are those of the
    player to move: what is good for one is bad for the other.

    Args:
      allowed: at least one move of each root; no other is tried there.
    """
    tree = _planted(embedding, estimate, allowed, num_simulations)

    def simulate(number: Int[Array, ""], tree: Tree) -> Tree:
        way = _descend(tree, allowed, pb_c_init)
        games = jnp.arange(len(allowed))
        parents = jax.tree.map(lambda part: part[way.nodes, games], tree.embeddings)
        reached, told = step(params, parents, way.moves)
        return _climb(_grown(tree, number + 1, way, reached, told), way, told.value)

    tree = jax.lax.fori_loop(0, num_simulations, simulate, tree)
    visits, values = _of_children(tree, jnp.zeros(len(allowed), int))
    return RootMoves(visits, jnp.where(visits > 0, values, 0.0), tree.values[0])


def _planted(
    embedding: PyTree, estimate: PolicyValue, allowed: Bool[Array, "B A"], num_simulations: int
) -> Tree:
    count, (batch, num_moves) = num_simulations + 1, allowed.shape

    def first_of_all(row: Array) -> Array:
        return jnp.zeros((count, *row.shape), row.dtype).at[0].set(row)

    priors = jax.nn.softmax(jnp.where(allowed, estimate.logits, -jnp.inf))
    return Tree(
        visits=first_of_all(jnp.ones(batch)),
        depths=first_of_all(jnp.zeros(batch, int)),
        values=first_of_all(estimate.value),
        priors=first_of_all(priors),
        children=jnp.full((count, batch, num_moves), _NO_NODE),
        embeddings=jax.tree.map(first_of_all, embedding),
    )


def _descend(tree: Tree, allowed: Bool[Array, "B A"], pb_c_init: float) -> _Descent:
    games = jnp.arange(len(allowed))

    def further(way: _Descent) -> _Descent:
        scores = _scores(tree, way.nodes, pb_c_init)
        scores = jnp.where(allowed | (way.depth > 0), scores, -jnp.inf)
        moves = jnp.where(way.going, jnp.argmax(scores, axis=-1), way.moves)
        following = tree.children[way.nodes, games, moves]
        going = way.going & (following != _NO_NODE)
        return _Descent(
            depth=way.depth + 1,
            nodes=jnp.where(going, following, way.nodes),
            moves=moves,
            going=going,
            passed=way.passed.at[way.nodes, games].set(True),
        )

    nowhere = jnp.zeros(len(allowed), int)
    unseen = jnp.zeros(tree.visits.shape, bool)
    start = _Descent(jnp.zeros((), int), nowhere, nowhere, nowhere == 0, unseen)
    return jax.lax.while_loop(lambda way: jnp.any(way.going), further, start)


def _scores(tree: Tree, nodes: Int[Array, " B"], pb_c_init: float) -> Float[Array, "B A"]:
    games = jnp.arange(len(nodes))
    visits, values = _of_children(tree, nodes)
    of_node = tree.visits[nodes, games][:, None]
    explored = pb_c_init + jnp.log((of_node + _PB_C_BASE + 1.0) / _PB_C_BASE)
    policy = jnp.sqrt(of_node) * explored * tree.priors[nodes, games] / (visits + 1.0)
    return policy + (values + 1.0) / 2.0


def _of_children(
    tree: Tree, nodes: Int[Array, " B"]
) -> tuple[Float[Array, "B A"], Float[Array, "B A"]]:
    """Visits of each move and its value, as the player to move at the nodes sees it: 0 and -1 where
    there was none."""
    games = jnp.arange(len(nodes))
    children = tree.children[nodes, games]
    there, rows = children != _NO_NODE, jnp.maximum(children, 0)
    visits = jnp.where(there, tree.visits[rows, games[:, None]], 0.0)
    return visits, jnp.where(there, -tree.values[rows, games[:, None]], -1.0)


def _grown(
    tree: Tree, new: Int[Array, ""], way: _Descent, embedding: PyTree, estimate: PolicyValue
) -> Tree:
    """With the node after the last move of each way."""
    games = jnp.arange(len(way.nodes))
    return Tree(
        visits=tree.visits.at[new].set(1.0),
        depths=tree.depths.at[new].set(tree.depths[way.nodes, games] + 1),
        values=tree.values.at[new].set(estimate.value),
        priors=tree.priors.at[new].set(jax.nn.softmax(estimate.logits)),
        children=tree.children.at[way.nodes, games, way.moves].set(new),
        embeddings=jax.tree.map(
            lambda part, row: part.at[new].set(row), tree.embeddings, embedding
        ),
    )


def _climb(tree: Tree, way: _Descent, value: Float[Array, " B"]) -> Tree:
    """What was found below the way is told to every node of it: all of them at once, for a node
    comes once on a way and its depth says who moves there."""
    below = tree.depths[way.nodes, jnp.arange(len(value))] + 1
    seen = jnp.where((below - tree.depths) % 2 == 0, value, -value)
    now = (tree.values * tree.visits + seen) / (tree.visits + 1.0)
    return tree._replace(
        visits=tree.visits + way.passed, values=jnp.where(way.passed, now, tree.values)
    )
