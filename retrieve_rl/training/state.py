"""The train state and pure train steps, several of them inside one scan."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Int, PRNGKeyArray

from retrieve_rl.training.sharding import split
from retrieve_rl.training.slices import in_slices, side_by_side
from retrieve_rl.types import Array

Params = Any
Batch = Any
Metrics = dict[str, Array]
LossFn = Callable[[Params, Batch, PRNGKeyArray], tuple[Array, Metrics]]
SampleFn = Callable[[PRNGKeyArray], Batch]
ShowFn = Callable[[Batch, PRNGKeyArray], Batch]
"""What the loss reads of a batch, with all its draws; nothing of it depends on parameters."""


class TrainState(NamedTuple):
    """All that training changes.

    Attributes:
      params: pytree of the trained parameters.
      opt_state: the optimizer's state for them.
      step: steps taken so far.
    """

    params: Params
    opt_state: optax.OptState
    step: Int[Array, ""]


def init_state(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    return TrainState(params, optimizer.init(params), jnp.zeros((), jnp.int32))


def adamw(
    learning_rate: float,
    *,
    warmup_steps: int,
    total_steps: int,
    weight_decay: float,
    clip_norm: float,
) -> optax.GradientTransformation:
    """AdamW behind global-norm clipping; the rate rises linearly, then falls by a cosine to zero.

    The schedule is the optimizer's learning rate: placed before Adam it would be normalized away.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, warmup_steps, max(total_steps, warmup_steps + 1)
    )
    return optax.chain(
        optax.clip_by_global_norm(clip_norm), optax.adamw(schedule, weight_decay=weight_decay)
    )


def train_steps(
    state: TrainState,
    rng_key: PRNGKeyArray,
    *,
    num_steps: int,
    sample_fn: SampleFn,
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    show_fn: ShowFn = lambda batch, rng_key: batch,
    num_slices: int = 1,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """Takes `num_steps` steps in one scan; metrics are means over them, plus `finite`.

    With `num_slices` a batch's gradients are added up slice after slice, which needs a loss that is
    a mean over the batch and draws the same for an example in any slice. With a `mesh` each device
    takes its part of every batch, see `sharding`.

    Step n draws its batch and its dropout from `fold_in(rng_key, n)`, so a resumed run sees the
    batches it would have seen.
    """

    def step(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
        sample_key, loss_key = jax.random.split(jax.random.fold_in(rng_key, state.step))
        batch = split(show_fn(sample_fn(sample_key), loss_key), mesh)

        def gradient_fn(params: Params, batch: Batch) -> tuple[Any, Params]:
            return jax.value_and_grad(loss_fn, has_aux=True)(params, batch, loss_key)

        (loss, metrics), gradients = in_slices(
            gradient_fn, state.params, batch, num_slices, side_by_side(num_slices)
        )
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {**metrics, "loss": loss, "gradient_norm": optax.tree.norm(gradients)}
        return TrainState(params, opt_state, state.step + 1), metrics

    state, metrics = jax.lax.scan(step, state, None, length=num_steps)
    finite = jnp.all(jnp.isfinite(metrics["loss"])) & jnp.all(
        jnp.isfinite(metrics["gradient_norm"])
    )
    return state, {**{name: jnp.mean(value) for name, value in metrics.items()}, "finite": finite}
