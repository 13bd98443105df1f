"""A training that goes wrong keeps what was good."""

import jax.numpy as jnp
import pytest

from retrieve_rl.training.checkpoints import latest_checkpoint, save_checkpoint
from retrieve_rl.training.loop import NonFiniteLossError
from retrieve_rl.training.run_loop import train_in_run
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
            save=save,
        )
    assert latest_checkpoint(run.folder / "checkpoints").name == "step-00000004"
