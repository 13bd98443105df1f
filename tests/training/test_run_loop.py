"""A training that goes wrong keeps what was good."""

import dataclasses
import json

import jax.numpy as jnp
import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.signals import StopRequest
from retrieve_rl.training.checkpoints import latest_checkpoint, save_checkpoint
from retrieve_rl.training.curve import forget_after
from retrieve_rl.training.loop import NonFiniteLossError
from retrieve_rl.training.run_loop import train_in_run
from retrieve_rl.training.spent import spent
from retrieve_rl.training.state import TrainState


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(make_run):
    run = make_run()

    def step_fn(state, num_steps):
        step = int(state.step) + num_steps
        metrics = {"loss": jnp.float32(step), "finite": jnp.array(step < 6)}
        return state._replace(step=jnp.int32(step)), metrics

    def save(state, metrics):
        save_checkpoint(run.folder / "checkpoints", int(state.step), {}, made_from={}, metadata={})

    with pytest.raises(NonFiniteLossError, match="between steps 4 and 6"):
        train_in_run(
            run,
            TrainState(None, None, jnp.int32(0)),
            {},
            title="training",
            total_steps=10,
            steps_at_once=2,
            checkpoint_every=2,
            step_fn=step_fn,
            rate_key="learning_rate",
            save=save,
        )
    assert latest_checkpoint(run.folder / "checkpoints").name == "step-00000004"


class StopJustMissed(StopRequest):
    """A signal that comes right after the first look for one."""

    @property
    def requested(self):
        found = super().requested
        self.signal_number = 15
        return found


@pytest.mark.parametrize("total_steps, saved_at", [(10, 4), (4, 4)])
def test_a_stop_tells_of_a_checkpoint_that_is_there(make_run, total_steps, saved_at):
    run = dataclasses.replace(make_run(), stop=StopJustMissed())

    def step_fn(state, num_steps):
        return state._replace(step=state.step + num_steps), {"finite": jnp.array(True)}

    def save(state, metrics):
        save_checkpoint(run.folder / "checkpoints", int(state.step), {}, made_from={}, metadata={})

    with pytest.raises(Interrupted, match=f"saved at step {saved_at}"):
        train_in_run(
            run,
            TrainState(None, None, jnp.int32(0)),
            {},
            title="training",
            total_steps=total_steps,
            steps_at_once=2,
            checkpoint_every=10,
            step_fn=step_fn,
            rate_key="learning_rate",
            save=save,
        )
    assert latest_checkpoint(run.folder / "checkpoints").name == f"step-0000000{saved_at}"


def test_what_a_training_took_is_kept_over_its_processes(make_run):
    run = make_run()
    run.folder.mkdir(parents=True, exist_ok=True)

    def step_fn(state, num_steps):
        return state._replace(step=state.step + num_steps), {"finite": jnp.array(True)}

    def save(state, metrics):
        save_checkpoint(run.folder / "checkpoints", int(state.step), {}, made_from={}, metadata={})

    def go_on(start, end):
        options = {"title": "training", "steps_at_once": 2, "checkpoint_every": 2}
        options["rate_key"] = "learning_rate"
        start = TrainState(None, None, jnp.int32(start))
        train_in_run(run, start, {}, total_steps=end, step_fn=step_fn, save=save, **options)

    go_on(0, 4)
    first = spent(run.folder)
    forget_after(run.folder, 2)
    assert 0 < spent(run.folder).seconds < first.seconds
    left = spent(run.folder)
    go_on(2, 6)
    assert spent(run.folder).seconds > left.seconds and spent(run.folder).devices == "cpu"
    steps = [
        json.loads(line)["step"]
        for line in (run.folder / "spent.jsonl").read_text().split("\n")
        if line
    ]
    assert steps == [2, 4, 6]
