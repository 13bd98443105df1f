"""The training loop: a generator that its caller logs, saves and stops."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from retrieve_rl.errors import UsageError
from retrieve_rl.training.state import Metrics, TrainState

StepFn = Callable[[TrainState, int], tuple[TrainState, Metrics]]


class NonFiniteLossError(UsageError):
    """The loss, a gradient or another metric stopped being finite; the last checkpoint is still
    good."""


def train(
    state: TrainState, *, total_steps: int, steps_at_once: int, step_fn: StepFn, rate_key: str
) -> Iterator[tuple[TrainState, dict[str, float]]]:
    """Yields the state and the mean metrics after every `steps_at_once` steps, up to `total_steps`.

    Args:
      rate_key: the config key of the learning rate.

    Raises:
      NonFiniteLossError: in the last `steps_at_once` steps; the state they led to is not yielded.
    """
    step = int(state.step)
    while step < total_steps:
        state, metrics = step_fn(state, min(steps_at_once, total_steps - step))
        numbers = {name: float(np.asarray(value)) for name, value in metrics.items()}
        infinite = [name for name, number in numbers.items() if not math.isfinite(number)]
        if not numbers.pop("finite") or infinite:
            name = infinite[0] if infinite and "loss" not in infinite else "loss"
            raise NonFiniteLossError(
                f"the {name} became infinite or NaN between steps {step} and {int(state.step)}:"
                f" lower {rate_key}, or look for extreme values in the data"
            )
        step = int(state.step)
        yield state, numbers
