"""Training a policy: what reaches the device, resuming bit for bit, and that it learns."""

import json

import jax
import numpy as np
import pytest

from retrieve_rl.errors import DataError, Interrupted
from retrieve_rl.go import train_policy as training
from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.policy import open_policy
from retrieve_rl.go.splits import TRAINING
from retrieve_rl.go.train_policy import fit, sample_batch
from retrieve_rl.go.training_neighbors import training_neighbors
from retrieve_rl.training.checkpoints import latest_checkpoint


@pytest.fixture(scope="module")
def neighbors(go_config, go_data, go_encoder, go_index, go_run):
    return training_neighbors(go_config, go_data, go_encoder, go_index, go_run)


@pytest.fixture(scope="module")
def config(go_config):
    """Four steps of a tiny policy."""
    settings = {"steps": 4, "batch_size": 8, "checkpoint_every": 1000}
    return go_config.model_copy(update={"train": go_config.train.model_copy(update=settings)})


def inputs_of(config, data, neighbors):
    return jax.device_put(training._inputs(config, data, neighbors, 1.0))


def test_a_batch_holds_training_games_and_the_neighbors_that_were_found(config, go_data, neighbors):
    inputs = inputs_of(config, go_data, neighbors)
    batch = sample_batch(config, inputs, jax.random.key(0))
    again = sample_batch(config, inputs, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, batch, again)
    other = sample_batch(config, inputs, jax.random.key(1))
    assert (np.asarray(other.asking.positions.plies) != batch.asking.positions.plies).any()
    games = go_data.store.positions.games[go_data.training_rows]
    assert (go_data.split[np.asarray(batch.asking.positions.games)] == TRAINING).all()
    assert (go_data.split[games[np.asarray(batch.neighbors.indices)]] == TRAINING).all()
    found = {tuple(row) for row in neighbors.found.indices[:, :4].tolist()}
    assert {tuple(row) for row in np.asarray(batch.neighbors.indices).tolist()} <= found
    baseline = sample_batch(config, inputs_of(config, go_data, None), jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, baseline.asking, batch.asking)
    assert (np.asarray(baseline.neighbors.indices) == -1).all()


@pytest.mark.slow
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    config, go_data, neighbors, make_run, monkeypatch
):
    monkeypatch.setattr(training, "_STEPS_AT_ONCE", 2)
    whole, halves = make_run("whole"), make_run("halves")
    policy, metrics = fit(config, go_data, neighbors, whole)
    halves.stop.signal_number = 15
    with pytest.raises(Interrupted, match="saved at step 2"):
        fit(config, go_data, neighbors, halves)
    with pytest.raises(DataError, match="no checkpoint of step 4"):
        open_policy(config, halves.folder)
    halves.stop.signal_number = None
    resumed, resumed_metrics = fit(config, go_data, neighbors, halves)
    assert metrics == resumed_metrics
    jax.tree.map(np.testing.assert_array_equal, policy.params, resumed.params)
    logs = [(run.folder / "metrics.jsonl").read_text() for run in (whole, halves)]
    assert logs[0] == logs[1]
    assert [json.loads(line)["step"] for line in logs[0].splitlines()] == [2, 4]
    paths = [latest_checkpoint(run.folder / "checkpoints") for run in (whole, halves)]
    states = [(path / "state.npz").read_bytes() for path in paths]
    assert states[0] == states[1]
    opened = open_policy(config, halves.folder)
    jax.tree.map(np.testing.assert_array_equal, policy.params, opened.params)
    assert opened.distance_scale == policy.distance_scale > 0


@pytest.mark.slow
def test_no_held_out_game_reaches_the_device(config, go_data, neighbors, make_run, monkeypatch):
    seen, put = set(), jax.device_put

    def watched(tree):
        _, inputs = tree
        seen.update(np.asarray(inputs.known.positions.games).tolist())
        return put(tree)

    monkeypatch.setattr(training.jax, "device_put", watched)
    fit(config, go_data, neighbors, make_run())
    assert seen and (go_data.split[sorted(seen)] == TRAINING).all()


@pytest.mark.slow
def test_a_tiny_run_learns_to_read_its_neighbors(config, go_data, neighbors, make_run):
    """Moves of these games are random: only a neighbor that is the position itself tells them."""
    settings = {"steps": 150, "batch_size": 32, "learning_rate": 1e-2}
    regular = {"randomization": 0.0, "num_neighbors": 1}
    model = {"observation_blocks": 0, "dynamics_blocks": 0, "unroll_steps": 1}
    config = config.model_copy(
        update={
            "train": config.train.model_copy(update=settings),
            "retrieval": config.retrieval.model_copy(update=regular),
            "model": config.model.model_copy(update=model),
        }
    )
    own = np.arange(len(go_data.training_rows))[:, None]
    itself = neighbors._replace(
        found=TurnedNeighbors(own, np.zeros(own.shape, np.float32), np.zeros_like(own))
    )
    _, reading = fit(config, go_data, itself, make_run("reading"))
    _, blind = fit(config, go_data, None, make_run("blind"))
    assert reading["top1"] > 0.3 > 0.1 > blind["top1"]
    assert reading["cross_entropy"] < blind["cross_entropy"] - 1.0
