"""The semi-parametric model: what a neighbor may and may not change."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.go.config import EncoderConfig
from retrieve_rl.go.encoder import new_encoder
from retrieve_rl.go.model import count_parameters, dynamics, new_model, predict, represent
from retrieve_rl.go.neighbor_inputs import (
    NeighborInputs,
    neighbor_inputs,
    no_neighbors,
    none_found,
    remove,
    retrieval_set,
)
from retrieve_rl.go.planes import NEIGHBOR_PLANES, OBSERVATION_PLANES, observation_planes
from retrieve_rl.go.points import NO_MOVE, PASS, SIZE
from retrieve_rl.go.policy_config import ModelConfig, RetrievalConfig
from retrieve_rl.go.symmetries import NUM_SYMMETRIES, PRODUCTS, turn_boards, turn_moves

SMALL = ModelConfig(
    channels=6, neighbor_channels=4, observation_blocks=1, head_channels=3, feature_width=8
)
FORMS = [
    RetrievalConfig(),
    RetrievalConfig(distance_input=True),
    RetrievalConfig(fusion="attention"),
    RetrievalConfig(fusion="gate"),
]
FORM_IDS = ["sum", "distance", "attention", "gate"]
REPRESENT = jax.jit(represent, static_argnums=0)


@pytest.fixture(scope="module")
def observation():
    return jax.random.normal(jax.random.key(0), (3, SIZE, SIZE, len(OBSERVATION_PLANES)))


@pytest.fixture(scope="module")
def neighbors():
    planes = jax.random.normal(jax.random.key(1), (3, 5, SIZE, SIZE, len(NEIGHBOR_PLANES)))
    return NeighborInputs(planes, jax.random.uniform(jax.random.key(2), (3, 5)))


def shapes_of(config, retrieval):
    return nnx.split(nnx.eval_shape(lambda: new_model(config, retrieval, 0)))


def made(retrieval):
    """A model whose every parameter is away from zero, gates and biases too."""
    graphdef, shapes = shapes_of(SMALL, retrieval)
    rng = np.random.default_rng(0)
    draw = lambda leaf: jnp.asarray(rng.normal(0.1, 0.3, leaf.shape), leaf.dtype)
    return graphdef, jax.tree.map(draw, shapes)


def test_no_step_silences_the_layer_over_the_whole_board(observation, neighbors):
    """Its inputs are positive, so a step moves all its units the same way: ReLU would end them."""
    graphdef, params = made(FORMS[0])
    embedding = REPRESENT(graphdef, params, observation, neighbors)
    model = nnx.merge(graphdef, params)
    encoder = new_encoder(EncoderConfig(channels=6, num_blocks=1, feature_width=8), 0)
    before = model.heads(embedding), encoder(observation)[:2]
    for hidden in (model.heads.hidden, encoder.hidden):
        hidden.bias[...] -= 10.0
    after = model.heads(embedding), encoder(observation)[:2]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), before, after)


@pytest.mark.parametrize("retrieval", FORMS, ids=FORM_IDS)
def test_the_order_of_the_neighbors_does_not_matter(observation, neighbors, retrieval):
    model = made(retrieval)
    order = jnp.array([3, 0, 4, 1, 2])
    turned = NeighborInputs(*(part[:, order] for part in neighbors))
    one = REPRESENT(*model, observation, neighbors)
    np.testing.assert_allclose(REPRESENT(*model, observation, turned), one, atol=1e-5)
    other = neighbors._replace(planes=neighbors.planes.at[:, 0].add(1.0))
    assert not np.allclose(REPRESENT(*model, observation, other), one, atol=1e-3)


@pytest.mark.parametrize("retrieval", FORMS, ids=FORM_IDS)
def test_a_removed_neighbor_is_one_that_was_never_there(observation, neighbors, retrieval):
    model = made(retrieval)
    one = REPRESENT(*model, observation, remove(neighbors, jnp.ones((3, 5), bool)))
    np.testing.assert_array_equal(REPRESENT(*model, observation, no_neighbors(3, 5)), one)
    some = jnp.zeros((3, 5), bool).at[:, 2].set(True)
    for change in (0.0, 100.0):
        changed = NeighborInputs(
            neighbors.planes.at[:, 2].add(change), neighbors.closeness.at[:, 2].add(change)
        )
        told = REPRESENT(*model, observation, remove(changed, some))
        expected = REPRESENT(*model, observation, remove(neighbors, some))
        np.testing.assert_array_equal(told, expected)
    assert not np.allclose(told, one, atol=1e-3)


@pytest.mark.parametrize("retrieval", FORMS, ids=FORM_IDS)
def test_nothing_flows_back_to_a_removed_neighbor(observation, neighbors, retrieval):
    graphdef, params = made(retrieval)
    removed = jnp.zeros((3, 5), bool).at[:, 2].set(True)

    def told(inputs):
        embedding = represent(graphdef, params, observation, remove(inputs, removed))
        return jnp.sum(predict(graphdef, params, embedding).logits ** 2)

    gradients = jax.jit(jax.grad(told))(neighbors)
    np.testing.assert_array_equal(gradients.planes[:, 2], 0.0)
    np.testing.assert_array_equal(gradients.closeness[:, 2], 0.0)
    assert jnp.abs(gradients.planes[:, 1]).max() > 0
    reads_distance = retrieval.distance_input or retrieval.fusion != "sum"
    assert (jnp.abs(gradients.closeness[:, 1]).max() > 0) == reads_distance


def test_the_baseline_has_the_same_parameters_and_a_distance_only_one_more_plane():
    plain, baseline, distance, ten = (
        shapes_of(SMALL, retrieval)[1]
        for retrieval in (
            RetrievalConfig(num_neighbors=1),
            RetrievalConfig(num_neighbors=1, source="none"),
            RetrievalConfig(num_neighbors=1, distance_input=True),
            RetrievalConfig(num_neighbors=10),
        )
    )
    assert jax.tree.map(jnp.shape, plain) == jax.tree.map(jnp.shape, baseline)
    assert jax.tree.map(jnp.shape, plain) == jax.tree.map(jnp.shape, ten)
    assert count_parameters(distance) - count_parameters(plain) == 9 * SMALL.neighbor_channels


def test_every_neighbor_is_encoded_alike_and_summed_over_the_root_of_their_number(
    observation, neighbors
):
    model = made(RetrievalConfig())
    width = SMALL.channels
    alone = [
        REPRESENT(*model, observation, NeighborInputs(*(part[:, [n]] for part in neighbors)))
        for n in range(5)
    ]
    together = REPRESENT(*model, observation, neighbors)
    np.testing.assert_array_equal(together[..., :width], alone[0][..., :width])
    expected = sum(part[..., width:] for part in alone) / np.sqrt(5)
    np.testing.assert_allclose(together[..., width:], expected, atol=1e-4)


def test_relative_size_scales_the_parameters():
    counts = {
        size: count_parameters(shapes_of(ModelConfig(relative_size=size), RetrievalConfig())[1])
        for size in (0.5, 1.0, 2.0)
    }
    assert counts[0.5] / counts[1.0] == pytest.approx(0.5, rel=0.1)
    assert counts[2.0] / counts[1.0] == pytest.approx(2.0, rel=0.1)


def test_moves_lead_to_different_states(observation, neighbors):
    graphdef, params = made(RetrievalConfig())
    state = represent(graphdef, params, observation, neighbors)
    states = [
        dynamics(graphdef, params, state, jnp.full(3, move)) for move in (0, 1, PASS, NO_MOVE)
    ]
    assert all(following.shape == state.shape for following in states)
    for one, other in itertools.combinations(states, 2):
        assert not np.allclose(one, other, atol=1e-3)
    said = predict(graphdef, params, states[0])
    assert said.logits.shape == (3, 82) and said.value.shape == (3,)
    assert (jnp.abs(said.value) <= 1).all()


def test_products_of_symmetries():
    moves = np.arange(83)
    for first, then in itertools.product(range(NUM_SYMMETRIES), repeat=2):
        np.testing.assert_array_equal(
            turn_moves(turn_moves(moves, first), then), turn_moves(moves, PRODUCTS[first, then])
        )


def test_neighbors_are_turned_with_the_position_that_asks(go_data):
    known = retrieval_set(go_data)
    found = none_found(2, 3)._replace(
        indices=np.array([[5, 9, -1], [7, 5, 8]], np.int32),
        distances=np.array([[0.0, 2.0, np.inf], [1.0, 4.0, 8.0]], np.float32),
        symmetries=np.array([[0, 3, 0], [6, 0, 1]], np.int32),
    )
    as_found = neighbor_inputs(known, found, np.zeros(2, np.int32), 2.0)
    np.testing.assert_allclose(as_found.closeness[0], [1.0, np.exp(-1.0), 0.0], rtol=1e-6)
    np.testing.assert_array_equal(as_found.planes[0, 2], 0.0)
    for symmetry in range(NUM_SYMMETRIES):
        turned = neighbor_inputs(known, found, np.full(2, symmetry, np.int32), 2.0)
        points = np.moveaxis(np.asarray(as_found.planes), -1, 2).reshape(2, 3, -1, 81)
        expected = np.moveaxis(turn_boards(points, symmetry), 2, -1)
        told = np.asarray(turned.planes).reshape(2, 3, 81, -1)
        np.testing.assert_array_equal(told, expected)


def test_a_missing_neighbor_and_the_baseline_are_the_same_bit_for_bit(go_data):
    """From search results on: index -1, an emptied search, and no search at all."""
    known = retrieval_set(go_data)
    rows = np.arange(3)
    asking = known.positions.take(rows)
    observation = observation_planes(asking, known.games.komi[asking.games], np.zeros(3, np.int32))
    model = made(RetrievalConfig(distance_input=True))

    def told(found):
        return REPRESENT(
            *model, observation, neighbor_inputs(known, found, np.zeros(3, np.int32), 1.0)
        )

    nothing = told(none_found(3, 4))
    found = none_found(3, 4)._replace(
        indices=np.full((3, 4), 6, np.int32), distances=np.ones((3, 4), np.float32)
    )
    inputs = neighbor_inputs(known, found, np.zeros(3, np.int32), 1.0)
    removed = REPRESENT(*model, observation, remove(inputs, jnp.ones((3, 4), bool)))
    np.testing.assert_array_equal(removed, nothing)
    np.testing.assert_array_equal(REPRESENT(*model, observation, no_neighbors(3, 4)), nothing)
    assert not np.allclose(told(found), nothing, atol=1e-3)
