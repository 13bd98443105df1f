"""Stage 2 from inputs to result: no leak, no drift, resumed bit for bit."""

import dataclasses
import json
import sys
from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, Interrupted, UsageError
from retrieve_rl.reframe import train
from retrieve_rl.reframe.config import config_hash, resolve
from retrieve_rl.reframe.data import load_training_data
from retrieve_rl.reframe.evaluate import evaluate_policy
from retrieve_rl.reframe.memory import make_or_open, memory_folder
from retrieve_rl.reframe.policy import make_optimizer, new_policy
from retrieve_rl.reframe.recall import search
from retrieve_rl.training import run_loop
from retrieve_rl.training.checkpoints import latest_checkpoint
from retrieve_rl.training.loop import NonFiniteLossError
from retrieve_rl.training.state import init_state

SMALL = ["memory.steps=2", "memory.width=8", "memory.latent_dim=4", "retrieval.hidden_segment=7"]
SMALL += ["transformer.width=8", "transformer.num_layers=1", "train.context_len=4"]
SMALL += ["train.batch_size=8", "train.steps=2", "evaluate.episodes=2"]


def small(*settings):
    return resolve("hopper-medium", preset="smoke", settings=[*SMALL, *settings])


@pytest.fixture(scope="module")
def experts(short_data, make_shared_run):
    """experts(config): its data, its memory and the inputs of its training; memories are shared."""
    run = make_shared_run()
    loaded = {}

    def get(config):
        drawn = config.data.num_experts
        if drawn not in loaded:
            loaded[drawn] = load_training_data(config, run.reporter)
        memory = make_or_open(config, loaded[drawn], run)
        return loaded[drawn], memory, train.make_inputs(config, loaded[drawn], memory, run)

    return get


def answered(config, data, memory, inputs):
    """[expert steps, K]: rows of the memory that each expert step would be taught with."""
    if inputs.neighbors is not None:
        return np.asarray(inputs.neighbors.indices[-data.experts.num_steps :])
    # A learned query may ask anything: ask for the step's own latent.
    hidden = inputs.hidden._replace(not_from=inputs.hidden.not_from[-data.experts.num_steps :])
    keys = memory.buffer.keys
    found = jax.jit(search, static_argnums=0)(
        config.retrieval, memory.buffer, keys, hidden, jax.random.key(0)
    )
    return np.asarray(found.indices)


@pytest.mark.parametrize(
    "asking", ["query=observation", "query=encoder", "query=learned", "source=random"]
)
def test_an_expert_never_retrieves_its_own_trajectory(experts, asking):
    config = small("data.num_experts=3", f"retrieval.{asking}")
    data, memory, inputs = experts(config)
    assert set(memory.buffer.trajectories) == {0, 1, 2}
    indices = answered(config, data, memory, inputs)
    present = indices >= 0
    own = memory.buffer.trajectories[indices] == data.experts.trajectories[:, None]
    assert not np.any(own & present)
    assert np.mean(present) > 0.5


@pytest.mark.parametrize("asking", ["query=encoder", "query=learned", "source=random"])
def test_the_only_expert_never_retrieves_what_is_around_it(experts, asking):
    config = small("data.num_experts=1", f"retrieval.{asking}")
    data, memory, inputs = experts(config)
    assert set(memory.buffer.trajectories) == {0}
    indices = answered(config, data, memory, inputs)
    segment, own = memory.buffer.timesteps // 7, data.experts.timesteps // 7
    apart = np.abs(segment[indices] - own[:, None])
    assert np.all(apart[indices >= 0] >= 2)
    assert np.mean(indices >= 0) > 0.5


@pytest.mark.parametrize("asking", ["query=observation", "query=learned", "source=random"])
def test_an_only_expert_too_short_to_teach_is_refused(
    tiny, make_data, make_memory, make_run, asking
):
    """Of 12 steps in segments of 4 the middle segment sees none; of 13 it sees the last."""
    name, value = asking.split("=")
    options = {"query": "observation", "hidden_segment": 4, name: value}

    def inputs(length, **sections):
        data = make_data(experts=(length,))
        config = tiny(**{"retrieval": options, **sections})
        return train.make_inputs(config, data, make_memory(data.experts), make_run())

    inputs(13)
    message = "hidden_segment = 4 hides the only expert episode, of {} steps, from {} of its own"
    with pytest.raises(UsageError, match=message.format(12, 4)):
        inputs(12)
    with pytest.raises(UsageError, match=message.format(8, 8)):
        inputs(8)
    inputs(8, retrieval={**options, "learns_on": "all"})
    inputs(8, train={"steps": 0})


def test_batches_teach_every_expert_window_with_its_own_rows(
    tiny, make_data, make_memory, make_run
):
    """The neighbors in a batch are those of the window's rows, and none is its own."""
    config, data = tiny(retrieval={"query": "observation"}), make_data()
    memory = make_memory(data.experts)
    inputs = train.make_inputs(config, data, memory, make_run())
    batch = jax.jit(partial(train.sample_batch, config, train.counts_of(data)))(
        jax.device_put(inputs), jax.random.key(3)
    )
    experts = config.experts_in_batch
    assert experts == 4 and batch.window.mask.shape == (8, 4)
    expert_neighbors = np.asarray(inputs.neighbors.indices[-data.experts.num_steps :])
    for number in range(experts):
        for position in range(4):
            if not batch.window.mask[number, position]:
                continue
            observation = np.asarray(batch.window.observations[number, position])
            (row,) = np.flatnonzero(np.all(data.experts.observations == observation, axis=1))
            found = np.asarray(batch.neighbors.indices[number, position])
            np.testing.assert_array_equal(found, expert_neighbors[row])
            present = found[found >= 0]
            assert not np.any(memory.buffer.trajectories[present] == data.experts.trajectories[row])


@pytest.mark.parametrize("query", ["observation", "encoder"])
def test_every_batch_draws_its_random_neighbors_anew(tiny, make_data, make_memory, make_run, query):
    """So that they cannot be learned by heart; none is of the window's own episode."""
    config = tiny(retrieval={"query": query, "source": "random", "num_neighbors": 2})
    data, run = make_data(), make_run()
    memory = make_or_open(config, data, run) if query == "encoder" else make_memory(data.experts)
    inputs = jax.device_put(train.make_inputs(config, data, memory, run))
    assert inputs.neighbors is None
    sample = jax.jit(partial(train.sample_batch, config, train.counts_of(data)))
    seen = {}
    for seed in range(20):
        batch = sample(inputs, jax.random.key(seed))
        for number, position in np.argwhere(batch.window.mask[: config.experts_in_batch]):
            observation = np.asarray(batch.window.observations[number, position])
            (row,) = np.flatnonzero(np.all(data.experts.observations == observation, axis=1))
            found = np.asarray(batch.neighbors.indices[number, position])
            own = data.experts.trajectories[row]
            assert np.all(memory.buffer.trajectories[found[found >= 0]] != own)
            seen.setdefault(row, set()).add(tuple(found))
    assert len(seen) > 20
    assert np.mean([len(drawn) > 1 for drawn in seen.values()]) > 0.9


@pytest.fixture
def key_uses(monkeypatch):
    """What each key was used for while tracing: [(key, use)], a fold counting with its number."""
    uses = []

    def record(name):
        real = getattr(jax.random, name)

        def recorded(key, *arguments, **options):
            uses.append((key, f"{name} {arguments[0]}" if name == "fold_in" else name))
            return real(key, *arguments, **options)

        monkeypatch.setattr(jax.random, name, recorded)

    for name in ("split", "fold_in", "bits", "randint", "uniform", "normal", "bernoulli"):
        record(name)
    return uses


@pytest.mark.parametrize("source", ["neighbors", "random"])
def test_no_key_is_used_twice(tiny, make_data, make_memory, make_run, key_uses, source):
    """A key is split once, drawn from once, or folded, each time with another number."""
    config, data = tiny(retrieval={"query": "learned", "source": source}), make_data()
    memory = make_memory(data.experts, data.experts.observations[:, [0, 1, 2, 0]])
    inputs = jax.device_put(train.make_inputs(config, data, memory, make_run()))
    graphdef, params = nnx.split(new_policy(config, data.observation_dim, data.action_dim))
    state = init_state(params, make_optimizer(config))
    steps = partial(train.stage_2_steps.lower, config, graphdef, train.counts_of(data), 2)
    key_uses.clear()
    # JAX's own checker sees keys that are split or drawn from twice.
    with jax.debug_key_reuse(True):
        steps(state, inputs, jax.random.key(0))
    by_key = {}
    for key, use in key_uses:
        by_key.setdefault(id(key), []).append(use)
    assert len(key_uses) >= (12 if source == "neighbors" else 13)
    for uses in by_key.values():
        assert len(set(uses)) == len(uses)
        assert len(uses) == 1 or all(use.startswith("fold_in") for use in uses), uses


@pytest.fixture(scope="module")
def prepared(tiny, make_data, made_in):
    """(config, data, memory): four steps, a checkpoint every two, over a memory of latents."""
    config, data = tiny(train={"checkpoint_every": 2}), make_data()
    return config, data, make_or_open(config, data, made_in)


@pytest.fixture(scope="module")
def made_in(make_shared_run):
    return make_shared_run()


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch):
    monkeypatch.setattr(train, "_STEPS_AT_ONCE", 2)


def state_arrays(run):
    return artifacts.load_arrays(latest_checkpoint(run.folder / "checkpoints") / "state.npz")


def stop_at(monkeypatch, run, step):
    log = run_loop.log_metrics

    def log_and_stop(folder, at, metrics):
        log(folder, at, metrics)
        if at == step:
            run.stop.signal_number = 15

    monkeypatch.setattr(run_loop, "log_metrics", log_and_stop)


def test_two_steps_and_two_more_are_four(prepared, make_run, monkeypatch):
    whole, halves = make_run("whole"), make_run("halves")
    policy, metrics = train.fit(*prepared, whole)
    with monkeypatch.context() as patch:
        stop_at(patch, halves, 2)
        with pytest.raises(Interrupted, match="saved at step 2"):
            train.fit(*prepared, halves)
    assert latest_checkpoint(halves.folder / "checkpoints").name == "step-00000002"
    halves.stop.signal_number = None
    resumed, resumed_metrics = train.fit(*prepared, halves)
    assert metrics == resumed_metrics
    for first, second in zip(
        jax.tree.leaves(policy.params), jax.tree.leaves(resumed.params), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    first, second = state_arrays(whole), state_arrays(halves)
    assert first.keys() == second.keys() and len(first) > 30
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    logs = [(run.folder / "metrics.jsonl").read_text() for run in (whole, halves)]
    assert logs[0] == logs[1]
    assert [json.loads(line)["step"] for line in logs[0].splitlines()] == [2, 4]


def test_a_killed_run_forgets_what_came_after_its_checkpoint(prepared, make_run, monkeypatch):
    run, whole = make_run("killed"), make_run("whole")
    train.fit(*prepared, whole)
    with monkeypatch.context() as patch:
        stop_at(patch, run, 2)
        with pytest.raises(Interrupted):
            train.fit(*prepared, run)
    run.stop.signal_number = None
    log = run.folder / "metrics.jsonl"
    log.write_text(log.read_text() + '{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    train.fit(*prepared, run)
    assert log.read_text() == (whole.folder / "metrics.jsonl").read_text()


def test_a_damaged_checkpoint_starts_from_the_one_before(prepared, make_run, monkeypatch):
    run = make_run("a")
    train.fit(*prepared, run)
    expected = state_arrays(run)
    newest = latest_checkpoint(run.folder / "checkpoints")
    assert newest.name == "step-00000004"
    (newest / "state.npz").write_bytes(b"")
    started, real = [], train.train_in_run

    def train_in_run(run, start, *rest, **options):
        started.append(int(start.step))
        return real(run, start, *rest, **options)

    monkeypatch.setattr(train, "train_in_run", train_in_run)
    train.fit(*prepared, run)
    assert started == [2]
    found = state_arrays(run)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_finished_training_is_not_repeated(prepared, make_run, monkeypatch):
    run = make_run("a")
    policy, metrics = train.fit(*prepared, run)
    monkeypatch.setattr(train, "stage_2_steps", None)
    again, again_metrics = train.fit(*prepared, run)
    assert metrics == again_metrics
    for first, second in zip(
        jax.tree.leaves(policy.params), jax.tree.leaves(again.params), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_the_memory_is_bit_identical_afterwards(prepared, make_run, made_in):
    config, data, memory = prepared
    before = artifacts.sha256_of_arrays(
        {name: np.array(part) for name, part in memory.buffer._asdict().items()}
    )
    weights = [np.array(leaf) for leaf in jax.tree.leaves(nnx.split(memory.autoencoder)[1])]
    policy, _ = train.fit(config, data, memory, make_run("a"))
    after = artifacts.sha256_of_arrays(
        {name: np.asarray(part) for name, part in policy.memory.buffer._asdict().items()}
    )
    assert before == after
    for first, second in zip(
        weights, jax.tree.leaves(nnx.split(policy.memory.autoencoder)[1]), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    folder = memory_folder(config, data, made_in.root)
    assert artifacts.verify(folder, kind="memory").digest == memory.facts["sha256"]


def test_training_changes_the_policy(prepared, make_run):
    config, data, memory = prepared
    policy, metrics = train.fit(config, data, memory, make_run("a"))
    _, fresh = nnx.split(new_policy(config, data.observation_dim, data.action_dim))
    changed = [
        not np.array_equal(first, second)
        for first, second in zip(
            jax.tree.leaves(fresh), jax.tree.leaves(policy.params), strict=True
        )
    ]
    assert np.mean(changed) > 0.8
    assert {"loss", "backbone_error", "gradient_norm"} <= set(metrics)


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(prepared, make_run, monkeypatch):
    run, real = make_run("a"), train.stage_2_steps

    def poisoned(*arguments):
        state, metrics = real(*arguments)
        bad = int(state.step) > 2
        return state, {**metrics, "finite": metrics["finite"] & (not bad)}

    monkeypatch.setattr(train, "stage_2_steps", poisoned)
    with pytest.raises(NonFiniteLossError, match="between steps 2 and 4"):
        train.fit(*prepared, run)
    kept = latest_checkpoint(run.folder / "checkpoints")
    assert kept.name == "step-00000002"
    assert all(np.isfinite(array).all() for array in state_arrays(run).values())


def test_a_number_too_large_in_the_data_is_noticed(tiny, make_data, make_run):
    data = make_data()
    actions = np.full_like(data.data.actions, 1e30)
    data = dataclasses.replace(data, data=data.data._replace(actions=actions))
    with pytest.raises(NonFiniteLossError):
        train.fit(tiny(backbone="mlp", retrieval={"source": "none"}), data, None, make_run())


def test_an_environment_that_the_data_does_not_fit_is_told_before_training(
    tiny, make_data, make_run, monkeypatch
):
    monkeypatch.setattr(train, "load_training_data", lambda *options: make_data())
    run = make_run("a")
    with pytest.raises(DataError, match="Hopper-v5 has observations of shape .11,.*data .3,."):
        train.train_policy(tiny(), run)
    assert not list(run.folder.iterdir()) and not (run.root / "memories").exists()


def test_code_that_is_edited_while_it_trains_does_not_name_the_result(
    short_data, make_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "edited_backbone", raising=False)
    code = tmp_path / "edited_backbone.py"
    code.write_text("from retrieve_rl.reframe.backbone import MlpBackbone as Mine\n")
    config = small("backbone=edited_backbone:Mine", "retrieval.source=none", "mlp.width=8")
    before = config_hash(config)

    def evaluate_then_edit(*arguments):
        evaluation = evaluate_policy(*arguments)
        code.write_text("# Edited.\n" + code.read_text())
        return evaluation

    monkeypatch.setattr(train, "evaluate_policy", evaluate_then_edit)
    assert train.train_policy(config, make_run()).config_hash == before != config_hash(config)


def test_the_same_seed_twice_is_the_same_result(short_data, make_run, tmp_path):
    documents = []
    for name in ("a", "b"):
        run = dataclasses.replace(make_run(name), root=tmp_path / name)
        config = small("data.num_experts=3")
        result = train.train_policy(config, run).model_dump(mode="json")
        for measured in ("timings", "peak_memory_bytes"):
            assert result.pop(measured)
        documents.append(artifacts.to_json(result))
    assert documents[0] == documents[1]
