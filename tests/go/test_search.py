"""Searches with a known answer: forced captures on the real rules, and a tree worked by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pgx.go
import pytest

from retrieve_rl.go.model import PolicyValue
from retrieve_rl.go.search import SearchConfig, search
from retrieve_rl.go.tree_search import search_tree

SIZE = 5
ENV = pgx.go.Go(size=SIZE, history_length=1, max_terminal_steps=60)
SEARCHES = ["puct", "gumbel"]


def position(black, white):
    """Black to move after both have played these points in turn; 25 passes."""
    state = ENV.init(jax.random.key(0))
    step = jax.jit(ENV.step)
    for b, w in zip(black, white, strict=True):
        state = step(step(state, b), w)
    return state


def taken_more(state):
    """0.9 where the player to move has taken more stones than the other, who then has -0.9."""
    black, white = state._x.num_captured
    return 0.9 * jnp.sign(black - white) * jnp.where(state._x.color == 0, 1, -1)


def near_stones(state):
    """Legal moves, points beside a stone twenty times as likely as others."""
    taken = jnp.pad((state._x.board != 0).reshape(SIZE, SIZE), 1)
    near = taken[:-2, 1:-1] | taken[2:, 1:-1] | taken[1:-1, :-2] | taken[1:-1, 2:]
    logits = jnp.append(3.0 * near.reshape(-1), 0.0)
    return jnp.where(state.legal_action_mask, logits, -1e9)


def estimate(states):
    return PolicyValue(jax.vmap(near_stones)(states), jax.vmap(taken_more)(states))


def step(params, states, moves):
    states = jax.vmap(ENV.step)(states, moves)
    return states, estimate(states)


# Columns A to E, rows 0 to 4; point = 5 * row + column.
IN_ONE = position([1, 12], [0, 25])
"""White's stone at A0 has a last liberty, A1."""
IN_TWO = position([1, 8], [2, 25])
"""White's stone at C0 has liberties C1 and D0. After Black's C1 it is taken at D0, or, when it runs
there, at E0; after Black's D0 it runs to C1 and has three liberties."""


@pytest.mark.parametrize("player", SEARCHES)
def test_forced_captures_in_one_and_in_two_moves_are_found(player):
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), IN_ONE, IN_TWO)
    config = SearchConfig(player=player, num_simulations=400)
    run = jax.jit(
        lambda states: search(
            step, None, states, estimate(states), states.legal_action_mask, config
        )
    )
    found = run(states)
    np.testing.assert_array_equal(found.moves, [5, 7])
    assert (np.asarray(found.values) > 0.1).all()


OUTCOMES = jnp.array([[0.9, -0.9, 0.8], [0.2, 0.3, 0.25], [-0.5, 0.4, -0.6]])
"""[our move, the other's answer]: what the game gives us. The first move hopes for a mistake."""


def tree_step(outcomes, path, moves):
    """Two moves count; what follows changes nothing. The embedding is both moves, -1 before."""
    ply = path[:, 2]
    first = jnp.where(ply == 0, moves, path[:, 0])
    second = jnp.where(ply == 1, moves, path[:, 1])
    ours = jnp.where(ply >= 1, outcomes[first, second], 0.0)
    we_are_to_move = ply % 2 == 1
    path = jnp.stack([first, second, ply + 1], axis=1)
    return path, PolicyValue(jnp.zeros((len(moves), 3)), jnp.where(we_are_to_move, ours, -ours))


def search_by_hand(player, logits, allowed, simulations=100):
    batch = len(logits)
    return search(
        tree_step,
        OUTCOMES,
        jnp.tile(jnp.array([[-1, -1, 0]]), (batch, 1)),
        PolicyValue(jnp.asarray(logits), jnp.zeros(batch)),
        jnp.asarray(allowed),
        SearchConfig(player=player, num_simulations=simulations),
    )


@pytest.mark.parametrize("player", SEARCHES)
def test_what_is_good_for_one_player_is_bad_for_the_other(player):
    found = search_by_hand(player, [[0.0, 0.0, 0.0]], [[True] * 3])
    assert found.moves[0] == 1
    # Cooperation would be worth 0.9; what the other then does best, -0.9.
    assert -0.3 < found.values[0] < 0.3


@pytest.mark.parametrize("player", [*SEARCHES, "prior"])
def test_moves_that_are_not_allowed_are_never_chosen(player):
    allowed = np.array([[True, False, True], [False, False, True], [True, True, True]])
    found = search_by_hand(player, [[0.0, 9.0, 1.0]] * 3, allowed)
    assert np.take_along_axis(allowed, np.asarray(found.moves)[:, None], axis=1).all()
    assert (np.asarray(found.shares)[~allowed] == 0).all()
    np.testing.assert_allclose(np.sum(found.shares, axis=1), 1.0, rtol=1e-5)


def test_without_a_search_the_likeliest_allowed_move_is_played_and_the_first_of_equals():
    logits, allowed = [[5.0, 1.0, 2.0], [1.0, 2.0, 2.0]], [[False, True, True], [True] * 3]
    found = search_by_hand("prior", logits, allowed)
    assert found.moves.tolist() == [2, 1] and found.values.tolist() == [0.0, 0.0]


def test_of_equally_many_simulations_the_higher_value_decides():
    def settled(values, path, moves):
        """A game of one move: what it gives the player who did not make it."""
        ply = path[:, 0]
        value = jnp.where(ply == 0, -values[moves], path[:, 1] * -1)
        path = jnp.stack([ply + 1, value], axis=1)
        return path, PolicyValue(jnp.zeros((len(moves), 3)), value)

    def choose(values):
        """Two simulations, one for each of the two moves that are allowed."""
        return search(
            settled,
            jnp.array(values),
            jnp.zeros((1, 2)),
            PolicyValue(jnp.array([[0.0, -1e9, 0.0]]), jnp.zeros(1)),
            jnp.array([[True, False, True]]),
            SearchConfig(num_simulations=2, pb_c_init=3.0),
        )

    for values, move in (([0.1, 0.0, 0.2], 2), ([0.2, 0.0, 0.1], 0), ([0.1, 0.0, 0.1], 0)):
        found = choose(values)
        assert found.shares[0].tolist() == [0.5, 0.0, 0.5]
        assert found.moves[0] == move


def test_the_tree_is_that_of_mctx():
    """Where no two moves are alike, for mctx breaks ties by lot."""
    weights = jax.random.normal(jax.random.key(1), (5, 4))

    def wandering(params, state, moves):
        state = jnp.tanh(state @ params + jax.nn.one_hot(moves, 4))
        return state, PolicyValue(3.0 * state, jnp.tanh(state[:, 0] - state[:, 1]))

    params = weights[:4]
    state = jax.random.normal(jax.random.key(2), (6, 4))
    start = PolicyValue(2.0 * state, jnp.tanh(state[:, 2]))
    allowed = jnp.ones((6, 4), bool).at[0, 1].set(False).at[3, :3].set(False)
    ours = jax.jit(
        lambda state: search_tree(
            wandering, params, state, start, allowed, num_simulations=80, pb_c_init=1.25
        )
    )(state)

    def recur(params, key, moves, state):
        state, told = wandering(params, state, moves)
        zero = jnp.zeros_like(told.value)
        output = mctx.RecurrentFnOutput(
            reward=zero, discount=zero - 1.0, prior_logits=told.logits, value=told.value
        )
        return output, state

    theirs = mctx.muzero_policy(
        params,
        jax.random.key(0),
        mctx.RootFnOutput(prior_logits=start.logits, value=start.value, embedding=state),
        recur,
        80,
        invalid_actions=~allowed,
        qtransform=partial(mctx.qtransform_by_min_max, min_value=-1.0, max_value=1.0),
        dirichlet_fraction=0.0,
        pb_c_init=1.25,
        temperature=0.0,
    ).search_tree.summary()
    np.testing.assert_array_equal(ours.visits, theirs.visit_counts)
    np.testing.assert_allclose(ours.value, theirs.value, atol=1e-4)
    tried = np.asarray(ours.visits) > 0
    np.testing.assert_allclose(
        np.asarray(ours.values)[tried], np.asarray(theirs.qvalues)[tried], atol=1e-4
    )
    assert not tried[0, 1] and tried[3].sum() == 1
