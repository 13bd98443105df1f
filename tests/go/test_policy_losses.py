"""The unrolled targets by hand, the ends of games, and each regularizer alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.go.losses import Batch
from retrieve_rl.go.model import PolicyValue, dynamics, new_model, predict
from retrieve_rl.go.neighbor_inputs import NeighborInputs, none_found, retrieval_set
from retrieve_rl.go.planes import NEIGHBOR_PLANES
from retrieve_rl.go.points import BLACK, NO_MOVE, PASS, SIZE, WHITE, pack_boards
from retrieve_rl.go.policy_config import ModelConfig, RetrievalConfig
from retrieve_rl.go.policy_losses import PolicyBatch, policy_loss, show
from retrieve_rl.go.positions import Positions
from retrieve_rl.go.regularizers import drop, pull, randomize
from retrieve_rl.go.symmetries import NUM_SYMMETRIES, turn_moves
from retrieve_rl.go.train_encoder import batch_of
from retrieve_rl.go.unroll import unroll, unroll_errors, unroll_targets
from retrieve_rl.training.slices import in_slices


@pytest.fixture
def asking():
    """Three positions: Black to move, three moves left, White wins; White to move, one move left,
    White wins; Black to move, ten and more moves left, a draw."""
    moves = np.full((3, 10), NO_MOVE, np.uint8)
    moves[0, :3], moves[1, :1], moves[2] = (5, PASS, PASS), (7,), np.arange(10)
    positions = Positions(
        boards=pack_boards(np.zeros((3, 81), np.uint8)),
        to_move=np.array([BLACK, WHITE, BLACK], np.uint8),
        ko=np.full(3, NO_MOVE, np.uint8),
        last_moves=np.full(3, NO_MOVE, np.uint8),
        plies=np.zeros(3, np.uint16),
        games=np.zeros(3, np.int32),
        next_moves=moves,
    )
    return Batch(positions, np.full(3, 7.0, np.float32), np.array([-1, -1, 0], np.int8))


def test_the_outcome_is_seen_by_the_player_to_move_and_ends_with_the_game(asking):
    targets = unroll_targets(asking, np.zeros(3, np.int32), 5)
    np.testing.assert_array_equal(targets.values[0], [-1, 1, -1, 1, -1, 1])
    np.testing.assert_array_equal(targets.values[1], [1, -1, 1, -1, 1, -1])
    np.testing.assert_array_equal(targets.values[2], np.zeros(6))
    np.testing.assert_array_equal(targets.has_move.sum(axis=1), [3, 1, 6])
    np.testing.assert_array_equal(targets.reached.sum(axis=1), [4, 2, 6])
    np.testing.assert_array_equal(targets.moves[0, :4], [5, PASS, PASS, NO_MOVE])
    for symmetry in range(NUM_SYMMETRIES):
        turned = unroll_targets(asking, np.full(3, symmetry, np.int32), 5)
        np.testing.assert_array_equal(turned.moves, turn_moves(np.asarray(targets.moves), symmetry))
        np.testing.assert_array_equal(turned.values, targets.values)


def test_nothing_past_the_end_counts(asking):
    targets = unroll_targets(asking, np.zeros(3, np.int32), 5)
    logits = jnp.zeros((3, 6, 82)).at[0, 0, 5].set(50.0).at[0, 1, 3].set(50.0)
    values = jnp.zeros((3, 6)).at[0].set(jnp.array([-1.0, 1, 1, 0, 0, 0]))
    errors = unroll_errors(PolicyValue(logits, values), targets)
    np.testing.assert_allclose(errors.cross_entropy[0], [0, 50, np.log(82), 0, 0, 0], atol=1e-4)
    np.testing.assert_array_equal(errors.hit[0], [True, False, False, False, False, False])
    np.testing.assert_array_equal(errors.value_error[0], [0, 0, 4, 1, 0, 0])
    np.testing.assert_array_equal(errors.value_error[1], [1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(errors.value_error[2], np.zeros(6))

    def summed(said):
        errors = unroll_errors(said, targets)
        return jnp.sum(errors.cross_entropy + errors.value_error)

    gradients = jax.grad(summed)(PolicyValue(logits + 0.1, values + 0.1))
    np.testing.assert_array_equal(gradients.logits[0, 3:], 0.0)
    np.testing.assert_array_equal(gradients.value[0, 4:], 0.0)
    assert (gradients.value[0, :4] != 0).all()


def test_unrolling_is_one_move_after_the_other():
    config = ModelConfig(channels=4, neighbor_channels=3, observation_blocks=0, feature_width=5)
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: new_model(config, RetrievalConfig(), 0)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0.0, 0.2, leaf.shape)), shapes)
    state = jax.random.normal(jax.random.key(0), (2, SIZE, SIZE, 7))
    moves = jnp.array([[3, 4], [PASS, NO_MOVE]])
    follow = jax.jit(unroll, static_argnums=0)
    said = follow(graphdef, params, state, moves)
    assert said.logits.shape == (2, 3, 82) and said.value.shape == (2, 3)
    for step in range(3):
        expected = predict(graphdef, params, state)
        np.testing.assert_allclose(said.logits[:, step], expected.logits, atol=1e-4)
        np.testing.assert_allclose(said.value[:, step], expected.value, atol=1e-5)
        if step < 2:
            state = dynamics(graphdef, params, state, moves[:, step])
    alone = follow(graphdef, params, state, jnp.zeros((2, 0), int))
    np.testing.assert_allclose(alone.value[:, 0], said.value[:, 2], atol=1e-5)


@pytest.fixture(scope="module")
def neighbors():
    """Two hundred positions with three neighbors each, that tell whose they are."""
    whose = jnp.arange(1.0, 201.0)[:, None] + jnp.array([0.0, 0.25, 0.5])
    planes = jnp.broadcast_to(
        whose[..., None, None, None], (*whose.shape, SIZE, SIZE, len(NEIGHBOR_PLANES))
    )
    return NeighborInputs(planes, whose)


def test_dropout_removes_single_neighbors(neighbors):
    told = drop(neighbors, 0.25, jax.random.key(0))
    removed = told.closeness == 0
    assert float(removed.mean()) == pytest.approx(0.25, abs=0.05)
    assert 0 < removed.all(axis=1).sum() + (~removed).all(axis=1).sum() < 200
    np.testing.assert_array_equal(
        told.planes, jnp.where(removed[..., None, None, None], 0, neighbors.planes)
    )
    assert drop(neighbors, 0.0, jax.random.key(0)) is neighbors
    assert not drop(neighbors, 1.0, jax.random.key(0)).planes.any()


def test_randomization_brings_all_neighbors_of_another_position(neighbors):
    told = randomize(neighbors, 0.3, jax.random.key(0))
    changed = told.closeness[:, 0] != neighbors.closeness[:, 0]
    assert float(changed.mean()) == pytest.approx(0.3, abs=0.1)
    whose = told.closeness[:, 0].astype(int) - 1
    np.testing.assert_array_equal(told.closeness, neighbors.closeness[whose])
    np.testing.assert_array_equal(told.planes, neighbors.planes[whose])
    assert len(np.unique(whose[changed])) > changed.sum() / 2
    assert randomize(neighbors, 0.0, jax.random.key(0)) is neighbors
    everyone = randomize(neighbors, 1.0, jax.random.key(0))
    assert (everyone.closeness[:, 0] != neighbors.closeness[:, 0]).all()


def test_regularization_pulls_one_way():
    near, far = jnp.ones((2, 9, 9, 3)), jnp.zeros((2, 9, 9, 3))
    assert pull(near, far) == pytest.approx(1.0)
    moved, anchor = jax.grad(pull, argnums=(0, 1))(near, far)
    assert (moved > 0).all() and not anchor.any()


@pytest.fixture(scope="module")
def small(go_config):
    """small(dropout=0.5): the tiny config without regularizers but these."""
    model = {"channels": 6, "neighbor_channels": 4, "observation_blocks": 0, "feature_width": 8}
    none = {"dropout": 0.0, "randomization": 0.0, "regularization": 0.0, "num_neighbors": 3}

    def make(**retrieval):
        return go_config.model_copy(
            update={
                "model": go_config.model.model_copy(update=model),
                "retrieval": go_config.retrieval.model_copy(update={**none, **retrieval}),
            }
        )

    return make


@pytest.fixture(scope="module")
def loss_of(go_data, small):
    """loss_of(config, slices=1): the loss of sixteen training positions, and its parameters'
    gradient."""
    known = jax.device_put(retrieval_set(go_data))
    rng = np.random.default_rng(0)
    found = none_found(16, 3)._replace(
        indices=rng.integers(0, len(go_data.training_rows), (16, 3), np.int32),
        distances=rng.uniform(0, 2, (16, 3)).astype(np.float32),
    )
    batch = jax.device_put(PolicyBatch(batch_of(go_data, go_data.training_rows[:16]), found))
    config = small()
    graphdef, params = nnx.split(new_model(config.model, config.retrieval, 0))

    def compute(config, slices=1):
        shown = show(config, known, jnp.float32(1.0), batch, jax.random.key(0))

        def gradient_fn(params, shown):
            loss_fn = partial(policy_loss, config, graphdef)
            return jax.value_and_grad(loss_fn, has_aux=True)(params, shown, None)

        (value, metrics), gradient = jax.jit(partial(in_slices, gradient_fn, count=slices))(
            params, shown
        )
        return float(value), metrics, gradient

    return compute


@pytest.mark.slow
def test_each_regularizer_alone_changes_the_loss(small, loss_of):
    plain, metrics, gradient = loss_of(small())
    assert "pull" not in metrics
    assert all(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))
    losses = {name: loss_of(small(**{name: 0.5})) for name in ("dropout", "randomization")}
    assert all(loss != plain for loss, *_ in losses.values())
    pulled, metrics, _ = loss_of(small(regularization=0.5))
    assert metrics["pull"] > 0
    assert pulled == pytest.approx(plain + 0.5 * float(metrics["pull"]), rel=1e-4)


def test_slices_add_up_to_the_batch(small, loss_of):
    config = small(dropout=0.3, randomization=0.3)
    (loss, metrics, gradient), cut = (loss_of(config, slices) for slices in (1, 4))
    assert cut[0] == pytest.approx(loss, rel=1e-5)
    for name, value in metrics.items():
        assert float(cut[1][name]) == pytest.approx(float(value), rel=1e-4)
    # A norm of four nearly equal channels makes much of rounding: in float64 they agree to 3e-14.
    for one, other in zip(*map(jax.tree.leaves, (cut[2], gradient)), strict=True):
        assert jnp.linalg.norm(one - other) < 0.1 * jnp.linalg.norm(other) + 1e-5


def test_without_neighbors_there_is_nothing_to_pull(small, loss_of):
    _, metrics, _ = loss_of(small(dropout=1.0, regularization=1.0))
    assert metrics["pull"] == 0
