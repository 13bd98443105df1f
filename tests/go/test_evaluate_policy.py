"""Judging a policy on held-out games: complete, strict, the same twice, and honest about zero."""

import json

import numpy as np
import pytest

from retrieve_rl.artifacts import to_json
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.go.add_games import add_games
from retrieve_rl.go.additions import additions
from retrieve_rl.go.built import Built
from retrieve_rl.go.evaluate_policy import evaluate, evaluate_policy
from retrieve_rl.go.held_out import conditions, held_out_rows, rows_of_fraction
from retrieve_rl.go.index import make_index, memory_path
from retrieve_rl.go.open_trained import open_trained
from retrieve_rl.go.policy import TrainedPolicy, untrained
from retrieve_rl.go.splits import ADDED, TEST, TRAINING
from retrieve_rl.go.train_policy import train_policy
from retrieve_rl.results import Run, read_result, write_result

NUMBERS = ("top1", "cross_entropy", "value_error")


@pytest.fixture(scope="module")
def config(go_config):
    """Two steps of a tiny policy, judged on few positions."""
    changes = {
        "train": {"steps": 2, "batch_size": 4},
        "model": {"channels": 4, "observation_blocks": 0, "unroll_steps": 2},
        "held_out": {"positions": 40, "num_neighbors": (1, 6), "fractions": (1.0, 0.3, 0.0001)},
    }
    sections = {
        name: getattr(go_config, name).model_copy(update=change) for name, change in changes.items()
    }
    return go_config.model_copy(update=sections)


@pytest.fixture(scope="module")
def trained(config, go_data, go_index, go_run):
    """The folder of a finished run, beside its artifacts."""
    folder = go_run.root / "train-policy" / "mine" / "a"
    folder.mkdir(parents=True)
    run = Run(folder, go_run.root, go_run.reporter, go_run.stop)
    write_result(folder, train_policy(config, run))
    return run


@pytest.fixture(scope="module")
def judged(config, trained):
    return evaluate(config, trained, trained=trained.folder)


def test_every_condition_is_judged_and_the_document_is_strict(config, judged, go_data):
    tables = judged.retrieval["conditions"]
    assert set(tables) == {
        "as trained",
        "no neighbors",
        "1 neighbors",
        "6 neighbors",
        "1 of the games",
        "0.3 of the games",
        "0.0001 of the games",
        "random neighbors",
        "all orientations",
    }
    document = json.loads(to_json(judged.model_dump(mode="json")))
    for name, table in document["retrieval"]["conditions"].items():
        assert [row["step"] for row in table["by_step"]] == [0, 1, 2]
        for row in [*table["by_step"], *table["by_ply"].values()]:
            assert row["positions"] >= row["moves"] >= 0
            for number in NUMBERS:
                told = row[number]
                assert set(told) == {"mean", "low", "high"}
                if row["moves"]:
                    assert (
                        told["low"] <= told["mean"] + 1e-9 and told["mean"] <= told["high"] + 1e-9
                    )
        assert sum(row["positions"] for row in table["by_ply"].values()) == 40
        assert ("less_no_neighbors" in table) == (name != "no neighbors")
    assert document["summary"]["measure"] == "top1"
    assert document["summary"]["mean"] == tables["as trained"]["by_step"][0]["top1"]["mean"]
    outcomes = document["outcomes"]
    assert sum(row["positions"] for row in outcomes) == 40
    told = sum(row["hits"] for row in outcomes) / 40
    assert told == pytest.approx(document["summary"]["mean"])


def test_training_ends_with_the_same_headline(judged, trained):
    before = read_result(trained.folder)
    assert set(before.retrieval["conditions"]) == {"as trained", "no neighbors"}
    assert before.summary["mean"] == judged.summary["mean"]
    assert before.outcomes == judged.outcomes
    assert before.training["parameters"] > 100


def test_the_same_policy_is_judged_the_same(config, judged, trained):
    again = evaluate(config, trained, trained=trained.folder)
    assert again.summary == judged.summary and again.retrieval == judged.retrieval


@pytest.fixture(scope="module")
def grown(config, trained, go_run, random_sgf, tmp_path_factory):
    """The run that added three games to the index of the training."""
    folder = tmp_path_factory.mktemp("grown")
    (folder / "new.sgf").write_bytes(b"".join(random_sgf(seed) for seed in (100, 101, 102)))
    run = Run(folder / "run", go_run.root, go_run.reporter, go_run.stop)
    write_result(run.folder, add_games(config, run, asked=additions([folder / "new.sgf"]), to=None))
    return run


def test_a_grown_index_is_asked_and_both_are_named(config, judged, trained, grown, go_index):
    own = go_index.memory.manifest.digest
    told = evaluate(config, trained, trained=trained.folder, version=grown.folder)
    assert told.retrieval["sha256"] == read_result(grown.folder).retrieval["sha256"] != own
    assert told.retrieval["trained_with_sha256"] == own
    assert judged.retrieval["sha256"] == judged.retrieval["trained_with_sha256"] == own
    conditions, before = told.retrieval["conditions"], judged.retrieval["conditions"]
    assert conditions.keys() == before.keys()
    assert conditions["no neighbors"]["by_step"] == before["no neighbors"]["by_step"]
    for level, distance in conditions["all orientations"]["nearest_distance"].items():
        assert distance <= before["all orientations"]["nearest_distance"][level] + 1e-4
    named = memory_path(config, go_index.folder)
    again = evaluate(config, trained, trained=trained.folder, version=named)
    assert again.summary == judged.summary and again.retrieval == judged.retrieval


def test_added_games_are_neighbors_of_every_source(config, trained, grown):
    _, data, built = open_trained(config, trained.folder, trained.root, grown.folder)
    rows = held_out_rows(config, data)
    added = np.flatnonzero(data.split[data.store.positions.games[data.retrieval_rows]] == ADDED)
    asked = data.rows_of(ADDED)[:60]
    told = {c.name: c for c in conditions(config, data, built, asked, thorough=True)}
    assert np.isin(told["as trained"].neighbors.indices[:, 0], added).mean() > 0.8
    assert np.isin(told["random neighbors"].neighbors.indices, added).any()
    part = told["0.3 of the games"].neighbors.indices
    assert rows_of_fraction(data, 0.3)[part].all()
    assert (data.split[data.store.positions.games[rows]] == TEST).all()


def test_a_policy_refuses_an_index_that_has_not_grown_from_its_own(
    config, trained, go_data, go_encoder, make_run
):
    keys = config.keys.model_copy(update={"dim": 4})
    other = config.model_copy(update={"keys": keys})
    stranger = memory_path(other, make_index(other, go_data, go_encoder, make_run()).folder)
    with pytest.raises(DataError, match="has not grown from the index") as refused:
        evaluate(config, trained, trained=trained.folder, version=stranger)
    assert refused.value.exit_code == 5
    off = config.retrieval.model_copy(update={"source": "none"})
    baseline = config.model_copy(update={"retrieval": off})
    with pytest.raises(UsageError, match="retrieves nothing: leave out --index"):
        open_trained(baseline, trained.folder, trained.root, stranger)


def test_neighbors_of_each_condition(config, go_data, go_encoder, go_index):
    built = Built(go_data, go_encoder, go_index)
    rows = held_out_rows(config, go_data)
    assert (go_data.split[go_data.store.positions.games[rows]] == TEST).all()
    told = {c.name: c for c in conditions(config, go_data, built, rows, thorough=True)}
    games = go_data.store.positions.games[go_data.training_rows]
    for condition in told.values():
        found = condition.neighbors
        assert found.indices.shape == (40, condition.facts["num_neighbors"])
        there = found.indices >= 0
        assert (go_data.split[games[found.indices[there]]] == TRAINING).all()
        assert np.isfinite(found.distances[there]).all()
        assert (np.diff(np.where(there, found.distances, 1e9), axis=1) >= 0).all()
    whole = told["as trained"].neighbors
    more = told["6 neighbors"].neighbors.distances[:, :4]
    np.testing.assert_allclose(more, whole.distances, atol=1e-4)
    part = told["0.3 of the games"].neighbors
    assert rows_of_fraction(go_data, 0.3)[part.indices].all()
    assert (part.distances[:, 0] >= whole.distances[:, 0] - 1e-4).all()
    turned = told["all orientations"].neighbors
    assert (turned.distances[:, 0] <= whole.distances[:, 0] + 1e-4).all()
    assert (turned.symmetries > 0).any()
    smallest = told["0.0001 of the games"].neighbors
    assert (smallest.indices == -1).all() == (not rows_of_fraction(go_data, 0.0001).any())


def test_a_smaller_fraction_is_part_of_a_larger_one(go_data):
    shares = [rows_of_fraction(go_data, fraction) for fraction in (0.1, 0.5, 1.0)]
    assert shares[2].all() and not shares[1].all()
    assert (shares[0] <= shares[1]).all()


def test_the_baseline_needs_no_index_and_says_the_same_with_its_neighbors_gone(
    config, go_data, go_encoder, go_index, make_run
):
    off = config.retrieval.model_copy(update={"source": "none"})
    baseline = config.model_copy(update={"retrieval": off})
    graphdef, state = untrained(baseline)
    alone = evaluate_policy(
        TrainedPolicy(baseline, graphdef, state.params, 1.0),
        go_data,
        None,
        make_run(),
        thorough=True,
    )
    assert set(alone.retrieval["conditions"]) == {"as trained"}
    policy = TrainedPolicy(config, graphdef, state.params, 1.0)
    built = Built(go_data, go_encoder, go_index)
    with_index = evaluate_policy(policy, go_data, built, make_run(), thorough=False)
    emptied = with_index.retrieval["conditions"]["no neighbors"]
    assert alone.retrieval["conditions"]["as trained"]["by_step"] == emptied["by_step"]


def test_another_index_or_no_checkpoint_is_refused(config, trained, make_run):
    with pytest.raises(DataError, match="no checkpoint of step 3"):
        longer = config.train.model_copy(update={"steps": 3})
        evaluate(config.model_copy(update={"train": longer}), trained, trained=trained.folder)
    result = read_result(trained.folder)
    folder = make_run("other").folder
    (folder / "checkpoints").symlink_to(trained.folder / "checkpoints")
    changed = {**result.retrieval, "sha256": "0" * 64}
    write_result(folder, result.model_copy(update={"retrieval": changed}))
    with pytest.raises(DataError, match="another index"):
        evaluate(config, trained, trained=folder)
    write_result(folder, result.model_copy(update={"inputs": {}}))
    with pytest.raises(DataError, match="other games"):
        evaluate(config, trained, trained=folder)
