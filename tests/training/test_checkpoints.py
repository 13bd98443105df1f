"""Checkpoints come back bit for bit, or are refused; a damaged newest one is passed over."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, ResourceError
from retrieve_rl.training.checkpoints import latest_checkpoint, load_tree, save_checkpoint
from retrieve_rl.training.state import TrainState, init_state

FACTS = {"made_from": {"memory": "ab"}, "metadata": {"seed": 0, "config": {"a": 1}}}


@pytest.fixture
def tree():
    params = {"layer": [jnp.arange(6.0).reshape(2, 3) / 7, jnp.ones(3)], "b": jnp.zeros(())}
    return init_state(params, optax.adamw(0.1))


def shifted(tree):
    return jax.tree.map(lambda leaf: leaf + 1, tree)


def test_saved_and_loaded_is_the_same(tmp_path, tree):
    path = save_checkpoint(tmp_path, 12, shifted(tree), **FACTS)
    assert path.name == "step-00000012" and latest_checkpoint(tmp_path) == path
    loaded = load_tree(path, tree)
    assert isinstance(loaded, TrainState)
    assert jax.tree.structure(loaded) == jax.tree.structure(tree)
    for found, expected in zip(
        jax.tree.leaves(loaded), jax.tree.leaves(shifted(tree)), strict=True
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    manifest = artifacts.read_manifest(path)
    assert manifest.metadata == {**FACTS["metadata"], "step": 12}
    assert manifest.made_from == FACTS["made_from"]


def wrong(tree, **changes):
    return tree._replace(params={**tree.params, **changes})


def test_another_model_is_refused(tmp_path, tree):
    path = save_checkpoint(tmp_path, 1, tree, **FACTS)
    for changes, message in [
        ({"b": jnp.zeros((), jnp.int32)}, "float32.*needs int32"),
        ({"b": jnp.zeros(1)}, "b'.*needs float32.1,"),
        ({"layer": [jnp.zeros((3, 2)), jnp.ones(3)]}, "layer"),
        ({"more": jnp.zeros(())}, "only one of them has.*more"),
    ]:
        with pytest.raises(DataError, match=message):
            load_tree(path, wrong(tree, **changes))
    with pytest.raises(DataError, match="only one of them has.*layer"):
        load_tree(path, tree._replace(params={"b": jnp.zeros(())}))


def test_the_two_newest_are_kept(tmp_path, tree):
    for step in (5, 10, 100):
        save_checkpoint(tmp_path, step, tree, **FACTS)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000010", "step-00000100"]


def damage(path):
    content = bytearray((path / "state.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "state.npz").write_bytes(content)


def test_a_damaged_one_is_passed_over_and_told(tmp_path, tree):
    save_checkpoint(tmp_path, 1, tree, **FACTS)
    save_checkpoint(tmp_path, 2, shifted(tree), **FACTS)
    for step in (2, 1):
        said = []
        path = latest_checkpoint(tmp_path, said.append)
        assert path.name == f"step-{step:08d}" and len(said) == 2 - step
        damage(path)
    said = []
    assert latest_checkpoint(tmp_path, said.append) is None
    assert ["step-0000000" + str(step) in line for step, line in zip((2, 1), said, strict=True)]


def test_training_again_from_before_damaged_ones_keeps_what_it_saves(tmp_path, tree):
    for step in (100, 200):
        damage(save_checkpoint(tmp_path, step, tree, **FACTS))
    for step in (50, 60):
        path = save_checkpoint(tmp_path, step, tree, **FACTS)
        assert latest_checkpoint(tmp_path) == path
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000050", "step-00000060"]


def test_steps_are_ordered_by_number(tmp_path, tree):
    for step in (99_999_999, 100_000_000):
        path = save_checkpoint(tmp_path, step, tree, **FACTS)
    assert latest_checkpoint(tmp_path) == path


def test_bfloat16_comes_back(tmp_path):
    tree = {"kernel": jnp.array([1.5, -2.0], jnp.bfloat16)}
    path = save_checkpoint(tmp_path, 1, tree, **FACTS)
    loaded = load_tree(path, tree)
    with pytest.raises(DataError, match="needs float16"):
        load_tree(path, {"kernel": jnp.zeros(2, jnp.float16)})
    assert loaded["kernel"].dtype == jnp.bfloat16 and loaded["kernel"].tolist() == [1.5, -2.0]


def test_what_a_killed_writer_left_is_no_checkpoint(tmp_path, tree):
    (tmp_path / ".step-00000009.tmp-abc").mkdir()
    (tmp_path / "step-00000009").mkdir()
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "nowhere") is None


def test_a_full_disk_keeps_the_last_one(tmp_path, tree, monkeypatch):
    save_checkpoint(tmp_path, 1, tree, **FACTS)

    def full(path, arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "save_arrays", full)
    with pytest.raises(ResourceError):
        save_checkpoint(tmp_path, 2, tree, **FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert latest_checkpoint(tmp_path).name == "step-00000001"
