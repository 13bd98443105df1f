"""The encoder: its losses by hand, resuming bit for bit, and what it is trained on."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.errors import DataError, Interrupted
from retrieve_rl.go.config import EncoderConfig
from retrieve_rl.go.data import split_data
from retrieve_rl.go.encoder import Prediction, features, new_encoder
from retrieve_rl.go.losses import (
    Targets,
    encoder_loss,
    errors,
    present_weights,
    show_positions,
)
from retrieve_rl.go.splits import TEST, TRAINING, VALIDATION
from retrieve_rl.go.train_encoder import batch_at, batch_of, fit, judge
from retrieve_rl.training.slices import in_slices


def test_moves_beyond_the_end_do_not_count():
    logits = jnp.zeros((3, 82)).at[0, 5].set(50.0).at[1, 5].set(50.0)
    values = jnp.array([1.0, 0.0, -1.0])
    wanted = Targets(jnp.array([5, 6, 0]), jnp.array([True, True, False]), jnp.array([1.0, 0, 0]))
    metrics = errors(logits, values, wanted, present_weights(wanted.has_move))
    assert metrics["top1"] == 0.5
    assert metrics["cross_entropy"] == pytest.approx(25.0)
    assert metrics["value_error"] == pytest.approx(1 / 3)


def test_training_reads_training_games_only(go_data):
    parts = [go_data.rows_of(part) for part in (TRAINING, VALIDATION, TEST)]
    games = [set(go_data.store.positions.games[rows].tolist()) for rows in parts]
    assert all(games)
    assert not games[0] & games[1] and not games[0] & games[2] and not games[1] & games[2]
    np.testing.assert_array_equal(parts[0], go_data.training_rows)
    on_device = batch_of(go_data, go_data.training_rows)
    drawn = batch_at(jax.device_put(on_device), 512, jax.random.key(0))
    assert set(np.asarray(drawn.positions.games).tolist()) <= games[0]


def test_a_step_learns_and_every_parameter_has_a_gradient(go_data):
    config = EncoderConfig(channels=8, num_blocks=1, feature_width=16)
    graphdef, params = nnx.split(new_encoder(config, 0))
    batch = jax.device_put(batch_of(go_data, go_data.training_rows[:64]))
    shown = show_positions(batch, jax.random.key(0))

    def gradient_fn(params, shown):
        return jax.value_and_grad(partial(encoder_loss, graphdef, 0.5), has_aux=True)(
            params, shown, None
        )

    compute = jax.jit(partial(in_slices, gradient_fn), static_argnums=2)
    whole = compute(params, shown, 1)
    for leaf in jax.tree.leaves(whole[1]):
        assert jnp.abs(leaf).max() > 0
    for one, other in zip(*map(jax.tree.leaves, (whole, compute(params, shown, 8))), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_an_interrupted_training_ends_as_if_it_had_not_been(go_config, go_data, make_run):
    unbroken, run = make_run("whole"), make_run("broken")
    whole = fit(go_config, go_data, unbroken)
    run = dataclasses.replace(run, root=run.root / "apart")
    run.stop.signal_number = 15
    with pytest.raises(Interrupted, match="saved at step 25"):
        fit(go_config, go_data, run)
    run.stop.signal_number = None
    curve = run.folder / "metrics.jsonl"
    # As a kill leaves it that comes after the checkpoint.
    curve.write_text(curve.read_text() + '{"step": 40, "loss": 1.0}\n{"step": 50, "lo')
    resumed = fit(go_config, go_data, run)
    for one, other in zip(
        jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert resumed.digest == whole.digest
    assert fit(go_config, go_data, run).digest == whole.digest
    assert curve.read_text() == (unbroken.folder / "metrics.jsonl").read_text()
    assert [json.loads(line)["step"] for line in curve.read_text().splitlines()] == [25, 40]


def test_what_a_policy_has_logged_stays(go_config, go_data, go_encoder, go_run, tmp_path):
    run = dataclasses.replace(go_run, folder=tmp_path)
    (tmp_path / "checkpoints").mkdir()
    lines = "".join(f'{{"step": {step}}}\n' for step in (40, 50, 60))
    logs = [tmp_path / "metrics.jsonl", tmp_path / "spent.jsonl"]
    for log in logs:
        log.write_text(lines)
    fit(go_config, go_data, run)
    assert [log.read_text() for log in logs] == [lines, lines]


def test_it_learns_who_wins(go_data, go_encoder):
    """Moves of these games are random, but Black always wins."""
    rows = go_data.rows_of(VALIDATION)
    told = judge(go_encoder, go_data, rows, never_seen=np.arange(len(rows)) < 5)
    assert told["all"]["positions"] == len(rows) and told["never_seen"]["positions"] == 5
    assert told["all"]["value_error"] < 0.5
    assert 0 <= told["all"]["top1"] < 0.2 and 4 < told["all"]["cross_entropy"] < 5
    nothing = judge(go_encoder, go_data, rows, never_seen=np.zeros(len(rows), bool))
    assert nothing["never_seen"] == {"positions": 0}


@pytest.mark.parametrize("layer, width", [("hidden", 16), ("points", 81 * 8), ("moves", 82)])
def test_features_do_not_depend_on_their_company(go_data, go_encoder, layer, width):
    rows = go_data.training_rows[:300]
    positions, komi = go_data.store.positions.take(rows), go_data.komi(rows)
    together = features(go_encoder, layer, positions, komi)
    assert together.shape == (300, width)
    alone = features(go_encoder, layer, positions.take(np.array([299])), komi[[299]])
    np.testing.assert_allclose(together[299:], alone, atol=1e-5)


def test_a_part_of_the_split_without_positions_is_refused(go_config, go_data):
    shares = go_config.data.model_copy(update={"test_share": 1e-9})
    with pytest.raises(DataError, match="bring more games"):
        split_data(go_config.model_copy(update={"data": shares}), go_data.store)


def test_moves_are_compared_by_their_probabilities():
    """Half of |a - b|^2 is one less the sum of sqrt(p q)."""
    logits = jnp.log(jnp.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]))
    nothing = jnp.zeros((3, 1))
    moves = Prediction(logits, nothing[:, 0], nothing, nothing).moves
    np.testing.assert_allclose(moves @ moves.T, 0.5 * np.eye(3) + 0.5, atol=1e-6)
