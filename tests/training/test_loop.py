"""The loop yields after every chunk and stops where the loss is no number."""

import jax.numpy as jnp
import pytest

from retrieve_rl.training.loop import NonFiniteLossError, train
from retrieve_rl.training.state import TrainState


class Steps:
    """A step function that counts, and breaks at one step."""

    def __init__(self, bad_from=None):
        self.asked = []
        self.bad_from = bad_from

    def __call__(self, state, num_steps):
        self.asked.append(num_steps)
        step = int(state.step) + num_steps
        finite = self.bad_from is None or step < self.bad_from
        metrics = {"loss": jnp.float32(step), "finite": jnp.array(finite)}
        return state._replace(step=jnp.int32(step)), metrics


def run(steps, start=0, total=7, at_once=3):
    state = TrainState(None, None, jnp.int32(start))
    options = {"total_steps": total, "steps_at_once": at_once, "rate_key": "own.learning_rate"}
    return train(state, step_fn=steps, **options)


@pytest.mark.parametrize("start, asked", [(0, [3, 3, 1]), (3, [3, 1]), (5, [2]), (7, []), (9, [])])
def test_chunks_end_at_the_total(start, asked):
    steps = Steps()
    yielded = [(int(state.step), metrics) for state, metrics in run(steps, start)]
    assert steps.asked == asked
    assert [step for step, _ in yielded] == [start + sum(asked[: n + 1]) for n in range(len(asked))]
    assert all(metrics == {"loss": float(step)} for step, metrics in yielded)


def test_another_metric_that_is_no_number_stops_too():
    def step_fn(state, num_steps):
        return state, {"loss": jnp.float32(1), "gate": jnp.float32("nan"), "finite": jnp.array(1)}

    with pytest.raises(NonFiniteLossError, match="the gate became infinite or NaN"):
        next(run(step_fn))


def test_nothing_runs_ahead_of_the_caller():
    steps = Steps()
    loop = run(steps)
    next(loop)
    assert steps.asked == [3]


def test_a_loss_that_is_no_number_stops_before_its_state_is_seen():
    loop = run(Steps(bad_from=4))
    assert int(next(loop)[0].step) == 3
    with pytest.raises(NonFiniteLossError, match="between steps 3 and 6: lower own.learning_rate"):
        next(loop)
