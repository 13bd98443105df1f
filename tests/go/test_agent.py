"""A policy that plays: its neighbors are those of its evaluation, its moves are legal."""

import numpy as np
import pytest

from retrieve_rl.errors import UsageError
from retrieve_rl.go import agent as agent_module
from retrieve_rl.go.agent import Agent, AgentConfig, positions_of_states
from retrieve_rl.go.built import Built
from retrieve_rl.go.endings import Label
from retrieve_rl.go.held_out import AS_TRAINED, conditions, held_out_rows
from retrieve_rl.go.judge_policy import judge_policy
from retrieve_rl.go.match import play_match
from retrieve_rl.go.match_games import plan_games
from retrieve_rl.go.neighbor_inputs import retrieval_set
from retrieve_rl.go.neighbor_source import neighbor_source
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.points import NO_MOVE, PASS, moves_of, unpack_boards
from retrieve_rl.go.policy import TrainedPolicy, untrained
from retrieve_rl.go.referee import GameState, Referee
from retrieve_rl.go.search import SearchConfig
from retrieve_rl.go.search_cost import search_cost
from retrieve_rl.go.train_encoder import batch_of
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest

PRIOR = SearchConfig(player="prior")
SHORT = SearchConfig(num_simulations=4)


@pytest.fixture(scope="module")
def policy(go_config):
    """An untrained policy."""
    changes = {"channels": 4, "observation_blocks": 0, "unroll_steps": 1}
    model = go_config.model.model_copy(update=changes)
    held_out = go_config.held_out.model_copy(update={"positions": 30})
    config = go_config.model_copy(update={"model": model, "held_out": held_out})
    graphdef, state = untrained(config)
    return TrainedPolicy(config, graphdef, state.params, 2.0)


@pytest.fixture(scope="module")
def source(policy, go_data, go_encoder, go_index):
    return neighbor_source(policy.config, go_encoder, go_index, retrieval_set(go_data))


@pytest.fixture(scope="module")
def make_agent(policy, source):
    def make(**settings):
        return Agent(policy, source, AgentConfig(**{"num_neighbors": 4, **settings}), name="mine")

    return make


@pytest.fixture(scope="module")
def rows(policy, go_data):
    return held_out_rows(policy.config, go_data)


@pytest.fixture(scope="module")
def states(go_data, rows):
    """Held-out positions as a match would show them, everything legal."""
    positions = go_data.store.positions.take(rows)

    def state(number):
        one = positions.take(np.array([number]))
        ply, last = int(one.plies[0]), int(one.last_moves[0])
        return GameState(
            game=number,
            seed=5,
            komi=float(go_data.komi(rows)[number]),
            moves=bytes([PASS] * (ply - 1) + [last] * (last != NO_MOVE)),
            to_move=int(one.to_move[0]),
            stones=unpack_boards(one.boards)[0],
            ko=int(one.ko[0]),
            legal=np.ones(82, bool),
        )

    return [state(number) for number in range(len(rows))]


def test_a_position_in_play_is_the_position_of_the_store(go_data, rows, states):
    told = positions_of_states(states)
    stored = go_data.store.positions.take(rows)
    for name in ("boards", "to_move", "ko", "last_moves", "plies"):
        mine, theirs = getattr(told, name), getattr(stored, name)
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype
    assert (told.next_moves == NO_MOVE).all()


@pytest.mark.parametrize("orientations", [1, 8])
def test_neighbors_and_prior_in_play_are_those_of_the_evaluation(
    policy, go_data, go_encoder, go_index, rows, states, monkeypatch, orientations
):
    asked = policy.config.retrieval.model_copy(update={"orientations": orientations})
    config = policy.config.model_copy(update={"retrieval": asked})
    source = neighbor_source(config, go_encoder, go_index, retrieval_set(go_data))
    built = Built(go_data, go_encoder, go_index)
    (as_trained, *_) = conditions(config, go_data, built, rows, thorough=False)
    assert as_trained.name == AS_TRAINED
    assert (as_trained.neighbors.symmetries > 0).any() == (orientations == 8)
    monkeypatch.setattr(
        agent_module, "allowed_moves", lambda states: np.ones((len(states), 82), bool)
    )
    settings = AgentConfig(search=PRIOR, num_neighbors=config.retrieval.num_neighbors)
    decision = Agent(policy, source, settings, name="mine").decide(states)
    # A symmetric board is as near in two orientations; which comes first is rounding.
    same = decision.neighbors.indices == as_trained.neighbors.indices
    assert same.all() if orientations == 1 else same.mean() > 0.8
    np.testing.assert_allclose(
        decision.neighbors.distances, as_trained.neighbors.distances, atol=1e-3
    )
    asking = batch_of(go_data, rows)
    judged = judge_policy(policy, retrieval_set(go_data), asking, decision.neighbors)
    played = asking.positions.next_moves[:, 0]
    np.testing.assert_array_equal(decision.found.moves == played, judged.errors.hit[:, 0] == 1)
    error = (
        decision.found.values - np.where(asking.positions.to_move == 1, 1, -1) * asking.outcomes
    ) ** 2
    np.testing.assert_allclose(error, judged.errors.value_error[:, 0], atol=1e-4)


def test_what_the_root_hears_of(make_agent, source, states):
    few = states[:5]
    nothing = make_agent(search=PRIOR, neighbors="none").decide(few)
    assert (nothing.neighbors.indices == -1).all()
    nearest = make_agent(search=PRIOR).decide(few)
    assert (np.diff(nearest.neighbors.distances, axis=1) >= 0).all()
    assert not np.allclose(nearest.found.shares, nothing.found.shares)
    drawn = make_agent(search=PRIOR, neighbors="random", num_neighbors=7).decide(few)
    assert drawn.neighbors.indices.shape == (5, 7)
    again = make_agent(search=PRIOR, neighbors="random", num_neighbors=7).decide(few[3:4])
    np.testing.assert_array_equal(again.neighbors.indices[0], drawn.neighbors.indices[3])
    other = few[3]._replace(seed=6)
    again = make_agent(search=PRIOR, neighbors="random", num_neighbors=7).decide([other])
    assert (again.neighbors.indices[0] != drawn.neighbors.indices[3]).any()
    keys = source.keys(positions_of_states(few), np.array([s.komi for s in few], np.float32))
    true = np.sum((source.index.keys[drawn.neighbors.indices] - keys[:, None]) ** 2, axis=2)
    np.testing.assert_allclose(drawn.neighbors.distances, true, rtol=1e-4)


@pytest.mark.parametrize("player", ["puct", "gumbel"])
def test_a_match_is_legal_and_the_same_twice(make_agent, random_player, tmp_path, player):
    games = plan_games(OpeningSet((moves_of("E5 C3"), moves_of("C3 G7 F3"))), 4, komi=7.0)
    told = []
    for folder in ("a", "b"):
        agent = make_agent(search=SearchConfig(player=player, num_simulations=4))
        told.append(
            play_match(
                agent,
                random_player("Bob", 2),
                games,
                tmp_path / folder,
                at_once=4,
                reporter=Reporter(-1),
                stop=StopRequest(),
            )
        )
        assert agent.heard == {}
    assert told[0] == told[1]
    assert {game.label for game in told[0]} <= {Label.SCORE, Label.CAP}


def test_a_move_does_not_depend_on_how_many_games_are_asked_about(make_agent, states):
    agent = make_agent(search=SHORT)
    moves = agent.moves(states[:6])
    assert set(agent.heard) == {0, 1, 2, 3, 4, 5}
    assert [agent.moves([state])[0] for state in states[:2]] == moves[:2]
    many = (states * 2)[:40]
    assert agent.moves(many)[30:36] == moves


def test_a_policy_without_neighbors_refuses_them(policy):
    with pytest.raises(UsageError, match="nearest neighbors are asked for.*trained without"):
        Agent(policy, None, AgentConfig(), name="baseline")
    alone = Agent(policy, None, AgentConfig(search=PRIOR, neighbors="none"), name="baseline")
    assert alone.moves([Referee(0, b"", komi=7.0).state()])[0] != "resign"


def test_what_a_move_costs(make_agent, states):
    cost = search_cost(make_agent(search=SHORT), states[:4])
    assert 0 < cost.network_share <= 1 and 0 < cost.retrieval_share <= 1
    assert cost.simulations_per_second == pytest.approx(4 * 4 / cost.move_seconds)
    cost = search_cost(make_agent(search=PRIOR, neighbors="none"), states[:4])
    assert cost.simulations_per_second == 0 and cost.retrieval_share == 0
