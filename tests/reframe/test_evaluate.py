"""Evaluation of a finished run: the same outcomes again, and refusals of what does not fit."""

import shutil
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from retrieve_rl.documents import read_document, write_document
from retrieve_rl.errors import DataError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import evaluate as evaluation
from retrieve_rl.reframe.evaluate import evaluate, score, summarize, trained_policy
from retrieve_rl.results import Run, read_result
from retrieve_rl.statistics import bootstrap_interval


def test_a_finished_run_is_judged_the_same_again(smoke, tmp_path):
    config, run, _, _ = smoke
    again = Run(tmp_path / "again", run.root, run.reporter, run.stop)
    result = evaluate(config, again, trained=run.folder)
    trained = read_result(run.folder)
    assert result.command == "evaluate" and trained.command == "train-policy"
    assert result.outcomes == trained.outcomes and len(result.outcomes) == 4
    assert result.summary == trained.summary
    assert result.retrieval == trained.retrieval
    assert result.inputs == trained.inputs and result.config_hash == trained.config_hash


def test_the_result_of_the_smoke_run_is_whole(smoke):
    config, run, data, _ = smoke
    result = read_result(run.folder)
    assert result.status == "ok" and result.training["steps"] == 50
    assert [outcome["seed"] for outcome in result.outcomes] == [10_000, 10_001, 10_002, 10_003]
    assert result.summary["score_table"] == "d4rl-v2"
    assert result.summary["measure"] == "normalized_score_100"
    assert result.inputs["dataset"]["id"] == "rrl/hopper/medium-short-v0"
    assert len(result.inputs["experts"]["drawn"]) == 10
    assert result.retrieval["rows"] == data.experts.num_steps
    assert all(outcome["status"] == "ok" for outcome in result.outcomes)


@pytest.fixture
def copy(smoke, tmp_path):
    """The smoke run's folder, to be damaged."""
    return shutil.copytree(smoke[1].folder, tmp_path / "copy")


def open_copy(smoke, copy, **changes):
    config, run, data, _ = smoke
    return trained_policy(config.model_copy(update=changes), copy, data, run)


def change_result(copy, change):
    document = read_document(copy / "result.json")
    change(document)
    write_document(copy / "result.json", document)


def test_a_run_without_its_last_checkpoint_is_refused(smoke, copy):
    assert open_copy(smoke, copy)
    with pytest.raises(DataError, match="no checkpoint of step 60"):
        open_copy(smoke, copy, train=smoke[0].train.model_copy(update={"steps": 60}))
    (copy / "checkpoints" / "step-00000050" / "state.npz").unlink()
    with pytest.raises(DataError, match="step-00000050/state.npz is missing"):
        open_copy(smoke, copy)
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(DataError, match="no checkpoint of step 50"):
        open_copy(smoke, copy)


def test_another_memory_or_other_data_is_refused(smoke, copy):
    change_result(copy, lambda document: document["retrieval"].update(sha256="0" * 64))
    with pytest.raises(DataError, match="another memory"):
        open_copy(smoke, copy)


def test_other_data_is_refused(smoke, copy):
    change_result(copy, lambda document: document["inputs"]["dataset"].update(sha256="0" * 64))
    with pytest.raises(DataError, match="other data"):
        open_copy(smoke, copy)


def test_another_model_is_refused(smoke, copy):
    wider = smoke[0].transformer.model_copy(update={"width": 64})
    with pytest.raises(DataError, match="the model needs"):
        open_copy(smoke, copy, transformer=wider)


@pytest.mark.parametrize("seed, first", [(0, 10_000), (4, 10_000), (100, 500_000)])
def test_tuning_is_judged_on_seeds_of_its_own(smoke, monkeypatch, seed, first):
    config, run, data, policy = smoke
    asked = {}

    class Stop(Exception):
        pass

    def rollout(act, **options):
        asked.update(options)
        raise Stop

    monkeypatch.setattr(evaluation, "rollout", rollout)
    changed = config.model_copy(update={"seed": seed})
    with pytest.raises(Stop):
        evaluation.evaluate_policy(type(policy)(changed, None, None, None), data, run)
    assert list(asked["seeds"]) == [first, first + 1, first + 2, first + 3]
    assert asked["target_return"] == 3600.0 and asked["env_id"] == "Hopper-v5"


class Broken(gymnasium.Env):
    """An environment of Hopper's widths without a finite step."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (11,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)

    def reset(self, *, seed=None, options=None):
        return np.zeros(11), {}

    def step(self, action):
        return np.full(11, np.nan), 0.0, False, False, {}


@pytest.fixture
def broken_env():
    gymnasium.register("Broken-v0", Broken)
    yield "Broken-v0"
    del gymnasium.registry["Broken-v0"]


def test_episodes_that_all_break_at_their_first_step_are_timed(smoke, broken_env):
    _, run, data, policy = smoke
    found = evaluation.evaluate_policy(policy, replace(data, env_id=broken_env), run)
    assert [outcome["length"] for outcome in found.outcomes] == [0] * 4
    assert found.timings["milliseconds_per_policy_call"] > 0
    assert found.summary["broken_episodes"] == 4


def test_a_broken_episode_makes_the_result_partial(
    smoke, broken_env, tmp_path, monkeypatch, capsys
):
    config, run, data, _ = smoke
    monkeypatch.setattr(
        evaluation, "load_training_data", lambda *options: replace(data, env_id=broken_env)
    )
    again = Run(tmp_path, run.root, Reporter(), run.stop)
    result = evaluate(config, again, trained=run.folder)
    assert result.status == "partial" and result.summary["broken_episodes"] == 4
    assert "4 of 4 episodes broke: a step was not finite" in capsys.readouterr().err


def outcomes(*returns):
    return [
        {"return_raw": value, "length": 10 * n, "status": "ok"}
        for n, value in enumerate(returns, start=1)
    ]


def test_scores_by_hand(tiny):
    env = tiny(env={"score_table": "t", "score_min": 100.0, "score_max": 300.0}).env
    scored = [score(outcome, env) for outcome in outcomes(100.0, 300.0, 250.0)]
    assert [outcome["normalized_score_100"] for outcome in scored] == [0.0, 100.0, 75.0]
    summary = summarize(scored, env)
    assert summary["measure"] == "normalized_score_100"
    assert summary["mean"] == pytest.approx(175 / 3)
    assert summary["return_raw"]["mean"] == pytest.approx(650 / 3)
    low, high = bootstrap_interval(np.array([0.0, 100.0, 75.0]))
    assert (summary["low"], summary["high"]) == (low, high)
    assert summary["episodes"] == 3 and summary["mean_length"] == 20.0
    assert summary["selection"] == "last" and summary["score_table"] == "t"
    assert "broken_episodes" not in summary
    scored[1]["status"] = "non_finite"
    assert summarize(scored, env) == {**summary, "broken_episodes": 1}


def test_without_bounds_the_raw_return_stands(tiny):
    env = tiny().env
    scored = [score(outcome, env) for outcome in outcomes(1.0, 2.0)]
    assert scored == outcomes(1.0, 2.0)
    summary = summarize(scored, env)
    assert summary["measure"] == "return_raw" and summary["mean"] == 1.5
    assert summary["score_table"] is None and "normalized_score_100" not in summary
