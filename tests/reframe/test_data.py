"""Data for a run: what belongs together, one normalizer, experts that nobody else has."""

import numpy as np
import pytest

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import data as training_data
from retrieve_rl.reframe.data import (
    best_episodes,
    check_pairing,
    check_ranges,
    evaluation_env,
    first_of_each,
    load_training_data,
    not_among,
)
from retrieve_rl.reframe.windows import fit_normalizer

SILENT = Reporter(verbosity=-1)


@pytest.fixture
def load(tiny, make_episodes, monkeypatch):
    """load(config sections): from 12 episodes of data and 50 of experts."""
    sets = {
        "rrl/hopper/medium-v0": make_episodes([20, 5, 9] * 4, seed=1),
        "rrl/hopper/expert-v0": make_episodes([7, 6] * 25, seed=2),
    }
    monkeypatch.setattr(training_data.datasets, "load", lambda name, reporter, stop: sets[name])

    def load(**sections):
        return load_training_data(tiny(**sections), SILENT)

    return load, sets


def test_one_normalizer_of_the_data_alone(load):
    load, sets = load
    expected = fit_normalizer(sets["rrl/hopper/medium-v0"].observations)
    for data in ({"num_experts": 3}, {"num_experts": 1}, {"expert_share": 0.25}):
        loaded = load(data=data)
        np.testing.assert_array_equal(loaded.normalizer.mean, expected.mean)
        np.testing.assert_array_equal(loaded.normalizer.std, expected.std)
    np.testing.assert_array_equal(load(seed=3).normalizer.mean, expected.mean)
    own = load(data={"normalizer": "experts"})
    np.testing.assert_allclose(own.experts.observations.mean(axis=0), 0, atol=1e-5)
    assert not np.allclose(own.normalizer.mean, expected.mean)


def test_the_best_episodes_of_the_data_take_the_place_of_experts(load):
    load, sets = load
    data = sets["rrl/hopper/medium-v0"]
    best = np.argsort(-data.returns, kind="stable")[:2]
    loaded = load(data={"num_experts": 2, "memory_from": "data"})
    np.testing.assert_array_equal(loaded.experts.actions, data.select(best).actions)
    assert loaded.data.num_steps == data.num_steps - data.lengths[best].sum()
    rest = np.setdiff1d(np.arange(12), best)
    np.testing.assert_array_equal(loaded.data.actions, data.select(rest).actions)
    np.testing.assert_array_equal(loaded.normalizer.mean, fit_normalizer(data.observations).mean)
    assert loaded.inputs["experts"]["id"] == loaded.inputs["dataset"]["id"]
    assert loaded.inputs["experts"]["drawn"] == best.tolist()
    with pytest.raises(UsageError, match="takes every episode"):
        load(data={"num_experts": 12, "memory_from": "data"})


def test_experts_come_in_the_order_they_were_drawn(load):
    load, sets = load
    loaded = load(data={"num_experts": 4})
    experts = sets["rrl/hopper/expert-v0"]
    drawn = loaded.inputs["experts"]["drawn"]
    assert len(drawn) == 4
    np.testing.assert_array_equal(loaded.experts.actions, experts.select(drawn).actions)
    np.testing.assert_array_equal(
        np.unique(loaded.experts.trajectories, return_counts=True)[1], experts.lengths[drawn]
    )
    smaller = load(data={"num_experts": 2})
    np.testing.assert_array_equal(
        smaller.experts.actions, loaded.experts.actions[: smaller.experts.num_steps]
    )


@pytest.mark.parametrize("seed", [0, 1, 100])
def test_held_out_steps_are_nobodys(load, seed):
    load, _ = load
    loaded = load(seed=seed, data={"num_experts": 20})
    assert loaded.held_out.num_steps > 0
    held_out = {row.tobytes() for row in loaded.held_out.actions}
    assert held_out.isdisjoint(row.tobytes() for row in loaded.experts.actions)


def join(first, second, make_episodes):
    """The episodes of one, then those of the other."""
    columns = ("observations", "actions", "rewards", "terminated")
    joined = {name: np.concatenate([getattr(e, name) for e in (first, second)]) for name in columns}
    return make_episodes([*first.lengths, *second.lengths], **joined)


def test_what_the_experts_hold_leaves_the_data(load, make_episodes, capsys):
    load, sets = load
    alone = load()
    assert "left_out" not in alone.inputs["dataset"]
    medium, expert = sets["rrl/hopper/medium-v0"], sets["rrl/hopper/expert-v0"]
    mixed = join(expert.select([3, 49]), medium, make_episodes)
    sets["rrl/hopper/medium-v0"] = mixed
    loaded = load()
    for name in ("data", "experts", "held_out", "normalizer"):
        for one, other in zip(getattr(loaded, name), getattr(alone, name), strict=True):
            np.testing.assert_array_equal(one, other)
    described = loaded.inputs["dataset"]
    assert described["left_out"] == 2 and described["sha256"] == mixed.sha256
    best = load(data={"memory_from": "data", "num_experts": 2}).inputs["experts"]["drawn"]
    assert best == np.argsort(-mixed.returns, kind="stable")[:2].tolist()  # none is held out
    not_among(mixed, expert, Reporter())
    assert "left out 2 of 14 episodes of rrl/test/tiny-v0" in capsys.readouterr().err
    sets["rrl/hopper/medium-v0"] = expert.select([7, 9])
    with pytest.raises(DataError, match="every episode of rrl/test/tiny-v0 is also in the experts"):
        load()


def actions_of_each_episode(table):
    numbers = np.unique(table.trajectories)
    return [table.actions[table.trajectories == number].tobytes() for number in numbers]


@pytest.mark.parametrize("seed", [0, 100])
def test_an_expert_that_is_there_twice_is_one(load, make_episodes, capsys, seed):
    load, sets = load
    alone = load(seed=seed, data={"num_experts": 20})
    assert "left_out" not in alone.inputs["experts"]
    expert = sets["rrl/hopper/expert-v0"]
    twice = sets["rrl/hopper/expert-v0"] = join(expert, expert, make_episodes)
    loaded = load(seed=seed, data={"num_experts": 20})
    for name in ("data", "experts", "held_out", "normalizer"):
        for one, other in zip(getattr(loaded, name), getattr(alone, name), strict=True):
            np.testing.assert_array_equal(one, other)
    used = [*actions_of_each_episode(loaded.experts), *actions_of_each_episode(loaded.held_out)]
    assert len(used) == len(set(used)) == 25
    described = loaded.inputs["experts"]
    assert (described["episodes"], described["left_out"]) == (100, 50)
    with pytest.raises(UsageError, match="only 20 of the 50"):
        load(data={"num_experts": 21})
    assert first_of_each(twice, Reporter()).tolist() == list(range(50))
    told = "left out 50 of 100 episodes of rrl/test/tiny-v0: each is the same as an earlier one"
    assert told in capsys.readouterr().err


def test_what_was_drawn_is_numbered_in_the_set_as_it_was_read(load, make_episodes):
    load, sets = load
    expert = sets["rrl/hopper/expert-v0"]
    copies = join(expert.select([0] * 3), expert, make_episodes)
    sets["rrl/hopper/expert-v0"] = copies
    loaded = load(data={"num_experts": 20})
    described = loaded.inputs["experts"]
    assert (described["sha256"], described["left_out"]) == (copies.sha256, 3)
    actions = copies.select(described["drawn"]).actions
    np.testing.assert_array_equal(loaded.experts.actions, actions)


def test_no_copy_of_a_recalled_episode_stays_in_the_data(load, make_episodes):
    load, sets = load
    options = {"memory_from": "data", "num_experts": 2}
    alone = load(data=options)
    medium = sets["rrl/hopper/medium-v0"]
    sets["rrl/hopper/medium-v0"] = join(medium, medium, make_episodes)
    loaded = load(data=options)
    assert loaded.inputs["dataset"]["left_out"] == 12
    assert loaded.inputs["experts"]["drawn"] == alone.inputs["experts"]["drawn"]
    for name in ("data", "experts", "normalizer"):
        for one, other in zip(getattr(loaded, name), getattr(alone, name), strict=True):
            np.testing.assert_array_equal(one, other)
    used = [*actions_of_each_episode(loaded.data), *actions_of_each_episode(loaded.experts)]
    assert len(used) == len(set(used)) == 12


def test_changes_are_told_of_what_is_known():
    then = {"dataset": {"sha256": "a" * 64, "steps": 9}, "experts": {"recipe": "e@1"}}
    assert training_data.changes(then, then) == []
    assert (
        training_data.changes(
            then, {"dataset": {}, "experts": {"file_sha256": "of an older version"}}
        )
        == []
    )
    now = {"dataset": {"sha256": "b" * 64, "left_out": 2}, "experts": {"recipe": "e@2"}}
    told = training_data.changes(then, now)
    assert told == [
        "the left_out of its dataset is None, now 2",
        f"the sha256 of its dataset is {'a' * 40}, now {'b' * 40}",
        "the recipe of its experts is e@1, now e@2",
    ]


def test_one_set_as_data_and_experts_keeps_what_is_held_out_apart(load):
    load, sets = load
    sets["rrl/hopper/medium-v0"] = sets["rrl/hopper/expert-v0"]
    loaded = load(data={"memory_from": "data", "num_experts": 2})
    assert loaded.inputs["dataset"]["left_out"] == 5
    held_out = {row.tobytes() for row in loaded.held_out.actions}
    for table in (loaded.data, loaded.experts):
        assert held_out.isdisjoint(row.tobytes() for row in table.actions)
    drawn = loaded.inputs["experts"]["drawn"]
    actions = sets["rrl/hopper/expert-v0"].select(drawn).actions
    np.testing.assert_array_equal(loaded.experts.actions, actions)


def test_the_best_of_a_part_are_described_by_the_whole(load):
    load, sets = load
    whole = sets["rrl/hopper/medium-v0"]
    loaded = load(data={"memory_from": "data", "num_experts": 2, "top_fraction": 0.5})
    for role in ("dataset", "experts"):
        assert loaded.inputs[role]["sha256"] == whole.sha256
    drawn = loaded.inputs["experts"]["drawn"]
    np.testing.assert_array_equal(loaded.experts.actions, whole.select(drawn).actions)
    assert len(np.unique(loaded.data.trajectories)) == 4


def test_more_experts_than_there_are(load):
    load, _ = load
    with pytest.raises(UsageError, match="only 20 of the 50"):
        load(data={"num_experts": 21})


def test_an_episode_longer_than_the_policy_can_count_is_refused(load):
    """Its time steps would have no embedding, and the loss would be no number."""
    load, _ = load
    load(env={"max_steps": 20})
    with pytest.raises(DataError, match="episode of 20 steps; set env.max_steps"):
        load(env={"max_steps": 19})


def test_actions_that_no_policy_can_take_are_refused(tiny, make_episodes):
    check_ranges(tiny(), make_episodes([3], actions=np.full((3, 2), -1.0)))
    with pytest.raises(DataError, match="actions up to 1.5"):
        check_ranges(tiny(), make_episodes([3], actions=np.full((3, 2), -1.5)))


def test_the_inputs_name_and_hash_what_was_read(load):
    load, sets = load
    inputs = load().inputs
    assert inputs["dataset"]["sha256"] == sets["rrl/hopper/medium-v0"].sha256
    assert inputs["experts"]["sha256"] == sets["rrl/hopper/expert-v0"].sha256
    assert inputs["dataset"]["episodes"] == 12 and inputs["env_id"] == "Hopper-v5"


def test_best_episodes(make_episodes):
    episodes = make_episodes([1] * 10, rewards=[5, 9, 1, 7, 9, 2, 3, 4, 6, 0])
    assert best_episodes(episodes, 1.0) is episodes
    np.testing.assert_array_equal(best_episodes(episodes, 0.3).rewards, [9, 7, 9])
    np.testing.assert_array_equal(best_episodes(episodes, 0.1).rewards, [9])
    np.testing.assert_array_equal(best_episodes(episodes, 0.001).rewards, [9])


def test_the_tenth_has_its_own_rows_and_the_normalizer_of_all(load):
    load, sets = load
    whole = sets["rrl/hopper/medium-v0"]
    loaded = load(data={"top_fraction": 0.25})
    best = whole.select(np.sort(np.argsort(-whole.returns)[:3]))
    np.testing.assert_array_equal(loaded.data.actions, best.actions)
    expected = fit_normalizer(whole.observations)
    np.testing.assert_array_equal(loaded.normalizer.mean, expected.mean)
    assert loaded.inputs["dataset"]["steps"] == whole.num_steps


def test_what_does_not_belong_together_is_refused(tiny, make_episodes):
    ours = make_episodes([3])
    check_pairing(tiny(), ours, make_episodes([4]))
    for changes, message in [
        ({"family": "minari"}, "minari data of Hopper-v5"),
        ({"env_id": "Hopper-v4"}, "bundled data of Hopper-v4"),
        ({"env_id": ""}, "an unknown environment"),
    ]:
        other = make_episodes([4], **changes)
        with pytest.raises(DataError, match=message):
            check_pairing(tiny(), ours, other)
        check_pairing(tiny(data={"allow_mixed_families": True}), ours, other)
    wider = make_episodes([4], observation_dim=5)
    with pytest.raises(DataError, match="widths"):
        check_pairing(tiny(data={"allow_mixed_families": True}), ours, wider)


def test_the_environment_is_that_of_the_data(tiny, make_episodes):
    assert evaluation_env(tiny(), make_episodes([3])) == "Hopper-v5"
    d4rl = make_episodes([3], family="d4rl", env_id="")
    assert evaluation_env(tiny(), d4rl) == "Hopper-v4"
    with pytest.raises(DataError, match="made in Walker2d-v5.*evaluated in Hopper-v5"):
        evaluation_env(tiny(), make_episodes([3], env_id="Walker2d-v5"))


def test_the_short_sets_load(smoke):
    _, _, data, _ = smoke
    assert data.observation_dim == 11 and data.action_dim == 3
    assert data.data.num_steps >= 50_000 and data.held_out.num_steps > 0
    np.testing.assert_allclose(data.data.observations.mean(axis=0), 0, atol=1e-3)
