"""Memories: made once, shared, verified, and never changed by what uses them."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from flax import nnx

from retrieve_rl.errors import DataError, Interrupted, UsageError
from retrieve_rl.reframe import memory as memories
from retrieve_rl.reframe.memory import distance_scale, make_or_open, memory_folder
from retrieve_rl.training.loop import NonFiniteLossError


@pytest.fixture(scope="module")
def config(tiny):
    return tiny()


@pytest.fixture(scope="module")
def data(make_data):
    return make_data()


@pytest.fixture(scope="module")
def made(config, data, make_shared_run):
    """The memory of this config and data, and the root it lies under."""
    run = make_shared_run()
    return make_or_open(config, data, run), run.root


@pytest.fixture
def run(made, make_run, tmp_path):
    """A run that finds a copy of that memory."""
    shutil.copytree(made[1] / "memories", tmp_path / "memories")
    return make_run()


def assert_equal(first, second):
    for one, other in zip(first.buffer, second.buffer, strict=True):
        np.testing.assert_array_equal(one, other)


def test_opened_where_it_was_made_before(config, data, made, run, monkeypatch):
    monkeypatch.setattr(memories, "make", None)
    opened = make_or_open(config, data, run)
    assert_equal(made[0], opened)
    assert made[0].facts == opened.facts


def test_what_is_opened_encodes_as_what_was_trained(config, data, run, monkeypatch):
    trained = []
    train = memories.train_autoencoder
    monkeypatch.setattr(
        memories, "train_autoencoder", lambda *inputs: trained.append(train(*inputs)) or trained[0]
    )
    shutil.rmtree(run.root / "memories")
    opened = make_or_open(config, data, run)
    before, after = (nnx.split(each)[1] for each in (trained[0], opened.autoencoder))
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_again_in_another_place(config, data, made, make_run):
    assert make_or_open(config, data, make_run()).facts["sha256"] == made[0].facts["sha256"]


def test_a_row_per_expert_step(data, made):
    memory, _ = made
    assert memory.buffer.num_rows == data.experts.num_steps == memory.facts["rows"]
    assert memory.facts["trajectories"] == 3 and memory.facts["key_dim"] == 4
    np.testing.assert_array_equal(memory.buffer.trajectories, data.experts.trajectories)
    np.testing.assert_array_equal(memory.buffer.timesteps, data.experts.timesteps)
    np.testing.assert_allclose(memory.buffer.center, data.experts.observations.mean(0), atol=1e-5)
    np.testing.assert_allclose(memory.buffer.spread, data.experts.observations.std(0), rtol=1e-4)
    # Latents are of the whole triplet, actions are decoded from them.
    latents = memory.autoencoder.encode(memories.triplets_of(data.experts))
    np.testing.assert_allclose(memory.buffer.keys, latents, rtol=1e-4, atol=1e-5)
    decoded = memory.autoencoder.decode(latents).actions
    np.testing.assert_allclose(memory.buffer.actions, decoded, rtol=1e-4, atol=1e-5)


def test_errors_are_reported_for_own_and_held_out(config, made, make_data, make_run):
    errors = made[0].facts["reconstruction"]
    for part in ("own", "held_out"):
        assert set(errors[part]) == {"return_to_go", "observation", "action"}
        assert all(error > 0 for error in errors[part].values())
    assert errors["own"] != errors["held_out"]
    small = make_data(held_out=None, experts=(5, 4))
    assert make_or_open(config, small, make_run()).facts["reconstruction"]["held_out"] is None


def test_training_lowers_the_error(tiny, data, made, make_run):
    longer = make_or_open(tiny(memory={"steps": 300}), data, make_run())
    errors = [sum(memory.facts["reconstruction"]["own"].values()) for memory in (longer, made[0])]
    assert errors[0] < 0.7 * errors[1]


def test_observations_as_keys_need_no_autoencoder(tiny, data, make_run):
    config = tiny(arm="nearest-expert", retrieval={"query": "observation"})
    memory = make_or_open(config, data, make_run())
    assert memory.autoencoder is None
    np.testing.assert_array_equal(memory.buffer.keys, data.experts.observations)
    np.testing.assert_array_equal(memory.buffer.actions, data.experts.actions)


def test_one_key_for_what_would_make_the_same_memory(tiny, data, tmp_path):
    def folder(data=data, **sections):
        return memory_folder(tiny(**sections), data, tmp_path)

    same = [{}, {"train": {"steps": 9}}, {"retrieval": {"query": "learned"}}, {"arm": "x"}]
    assert len({folder(**sections) for sections in same}) == 1
    shifted = data.normalizer._replace(mean=data.normalizer.mean + 1)
    redrawn = {**data.inputs, "experts": {"sha256": "x", "drawn": [0]}}
    others = [
        folder(seed=1),
        folder(memory={"latent_dim": 5}),
        folder(memory={"steps": 11}),
        folder(retrieval={"query": "observation"}),
        folder(dataclasses.replace(data, normalizer=shifted)),
        folder(dataclasses.replace(data, inputs=redrawn)),
    ]
    assert len({folder(), *others}) == 7


def test_an_arm_without_a_memory_leaves_none_to_the_others(tiny, data, make_run, tmp_path):
    without = tiny(arm="backbone", retrieval={"source": "none"})
    assert memory_folder(without, data, tmp_path) != memory_folder(tiny(), data, tmp_path)
    run = make_run()
    with pytest.raises(UsageError, match="the arm backbone has no memory"):
        memories.train_amb(without, run)
    assert not (run.root / "memories").exists()


def test_memories_made_before_are_found(tiny, data, tmp_path, monkeypatch):
    keys = []
    monkeypatch.setattr(memories, "digest", lambda facts: keys.append(facts["query"]) or "0" * 16)
    for query in ("encoder", "learned", "observation"):
        memory_folder(tiny(retrieval={"query": query}), data, tmp_path)
    assert keys == ["latent", "latent", "observation"]


@pytest.mark.parametrize("name", ["buffer.npz", "autoencoder/state.npz"])
def test_a_flipped_byte_is_refused(config, data, run, name):
    file = memory_folder(config, data, run.root) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError):
        make_or_open(config, data, run)


def test_a_memory_of_other_data_is_refused(config, data, make_data, run):
    folder = memory_folder(config, data, run.root)
    with pytest.raises(DataError, match="35 rows, the experts 9"):
        memories.open_memory(config, make_data(experts=(4, 5)), folder)


def test_a_stop_leaves_no_memory(config, data, make_run):
    run = make_run()
    run.stop.signal_number = 15
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        make_or_open(config, data, run)
    assert not memory_folder(config, data, run.root).exists()


def test_a_loss_that_is_no_number_names_the_rate_of_this_stage(tiny, data, make_run):
    with pytest.raises(NonFiniteLossError, match="lower memory.learning_rate"):
        make_or_open(tiny(memory={"learning_rate": 1e30}), data, make_run())


def test_the_distance_scale_is_measured_across_episodes():
    keys = np.array([[0.0], [0.1], [3.0], [3.1]], np.float32)
    trajectories = np.array([0, 0, 1, 1], np.int32)
    # Nearest of the other episode: 3.0, 2.9, 2.9, 3.0.
    found = distance_scale(keys, keys, trajectories)
    np.testing.assert_allclose(found, (9 + 8.41) / 2, rtol=1e-5)


def test_the_distance_scale_of_one_episode_looks_away_in_time():
    keys = np.arange(100, dtype=np.float32)[:, None]
    scale = distance_scale(keys, keys, np.zeros(100, np.int32))
    assert 1 < scale < 100
    one = distance_scale(keys[:1], keys[:1], np.zeros(1, np.int32))
    assert np.isfinite(one) and one > 0
