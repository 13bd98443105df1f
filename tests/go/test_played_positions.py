"""Positions of a match from its saved games: the player's own, after the opening."""

import numpy as np
import pytest

from retrieve_rl.errors import UsageError
from retrieve_rl.go.endings import Label, counted
from retrieve_rl.go.match_config import agent_config, openings_of
from retrieve_rl.go.match_games import plan_games, played_game, played_games_of
from retrieve_rl.go.neighbor_inputs import retrieval_set
from retrieve_rl.go.neighbor_source import neighbor_source
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.played_positions import (
    distances_of_played,
    middle_states,
    neighbors_of_played,
    played_positions,
)
from retrieve_rl.go.points import BLACK, WHITE, moves_of, text_of, unpack_boards

MOVES = ("E5 C3 G7 D4 F6 pass pass", "E5 C3 A1 B1 C1")


@pytest.fixture
def played():
    """Two games of a pair; the player is Black in the first."""
    plans = plan_games(OpeningSet((moves_of("E5 C3"),)), 2, komi=6.5)
    ending = counted(Label.SCORE, 2.5)
    return [
        played_game(
            plan, ending, names=("me", "you"), moves=moves_of(moves), claims=(None, "B+2.5")
        )
        for plan, moves in zip(plans, MOVES, strict=True)
    ]


def test_own_moves_after_the_opening(played):
    positions, komi = played_positions(played)
    assert positions.games.tolist() == [0, 0, 0, 1]
    assert positions.plies.tolist() == [2, 4, 6, 3]
    assert positions.to_move.tolist() == [BLACK] * 3 + [WHITE]
    assert np.count_nonzero(unpack_boards(positions.boards), axis=1).tolist() == [2, 4, 5, 3]
    assert komi.tolist() == [6.5] * 4


def test_games_are_read_back_from_a_result(played):
    assert played_games_of([game.model_dump(mode="json") for game in played]) == played


def test_a_position_from_the_middle_of_each_game(played):
    states = middle_states(played)
    assert [text_of(state.moves) for state in states] == ["E5 C3 G7 D4", "E5 C3 A1"]
    assert [state.to_move for state in states] == [BLACK, WHITE]
    opening_only = played[0].model_copy(update={"moves": "E5 C3"})
    assert middle_states([opening_only]) == []


def test_distances_are_those_of_the_index(go_config, go_data, go_encoder, go_index, played):
    source = neighbor_source(go_config, go_encoder, go_index, retrieval_set(go_data))
    positions = played_positions(played)
    found = neighbors_of_played(source, positions, 3)
    assert found.indices.shape == (4, 3) and (found.symmetries == 0).all()
    told = distances_of_played(source, positions)
    nearest = np.asarray(found.distances)[:, 0]
    assert told["positions"] == 4
    assert told["nearest"]["mean"] == pytest.approx(float(nearest.mean()), rel=1e-5)
    keys = source.keys(*positions)
    true = np.sum((np.asarray(go_index.keys)[None] - keys[:, None]) ** 2, axis=2).min(axis=1)
    np.testing.assert_allclose(nearest, true, rtol=1e-3, atol=1e-4)
    nobody = distances_of_played(source, played_positions([]))
    assert nobody == {"positions": 0, "nearest": {}, "by_ply": {}}


def test_how_a_policy_plays_by_default_and_what_is_refused(go_config):
    usual = agent_config(go_config)
    assert (usual.search.player, usual.search.num_simulations) == ("puct", 200)
    assert (usual.neighbors, usual.num_neighbors) == ("nearest", go_config.retrieval.num_neighbors)
    assert agent_config(go_config, simulations=0).search.player == "prior"
    assert agent_config(go_config, simulations=9, num_neighbors=2).search.num_simulations == 9
    baseline = go_config.model_copy(
        update={"retrieval": go_config.retrieval.model_copy(update={"source": "none"})}
    )
    assert agent_config(baseline).neighbors == "none"
    with pytest.raises(UsageError, match="makes no simulations"):
        agent_config(go_config, player="prior", simulations=3)
    for asked in ({"num_neighbors": 2}, {"neighbors": "random"}):
        with pytest.raises(UsageError, match="trained without neighbors"):
            agent_config(baseline, **asked)


def test_openings_that_score_and_those_that_add(tmp_path):
    file = tmp_path / "openings.txt"
    file.write_text("\n".join(f"E5 {column}{row}" for column in "ABCD" for row in range(1, 5)))
    (scoring, first), (adding, other) = (openings_of(file, half) for half in ("scoring", "adding"))
    assert scoring and adding and not set(scoring) & set(adding)
    # By symmetry, six of the sixteen are the same as others.
    assert len(scoring) + len(adding) == 10 and first == 0 and other > 10**5
    assert len(openings_of(None, "scoring")[0]) > 50
