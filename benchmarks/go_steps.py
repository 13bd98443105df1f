"""Training steps of Go, encoder and policy with ten neighbors, beside the machine's limit.

The limit is the arithmetic of the step's matrix products over the rate of the fastest of three
matrix products, measured between the steps. It is counted in the program whose convolutions are one
product over the nine points of each neighborhood, which computes nothing beyond the edge of the
board. The input pipeline is what comes before the network: drawing rows, looking up positions and
neighbors, unpacking and turning their planes; it is timed alone, on the same device, so that its
share is an upper bound.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import go_positions
import jax
import jax.numpy as jnp
import result_file
from flax import nnx
from operations import operations_of
from product_rate import product_rate, refuse_busy
from turns import in_turn, medians

from retrieve_rl.go import policy, train_encoder, train_policy
from retrieve_rl.go.config import GoConfig, resolve
from retrieve_rl.go.encoder import new_encoder
from retrieve_rl.go.losses import Batch, encoder_loss, show_positions
from retrieve_rl.go.neighbor_inputs import neighbor_inputs
from retrieve_rl.go.planes import observation_planes
from retrieve_rl.go.policy_losses import policy_loss, show
from retrieve_rl.go.symmetries import NUM_SYMMETRIES
from retrieve_rl.go.train_policy import TrainInputs
from retrieve_rl.nn.resnet import BoardConv
from retrieve_rl.training.slices import num_slices
from retrieve_rl.training.state import TrainState, init_state, train_steps

STEPS_IN_SCAN = 5
SampleFn = Callable[[jax.Array], Any]


class Training(NamedTuple):
    """A training and the part of it that makes its inputs.

    Attributes:
      step: takes STEPS_IN_SCAN steps.
      inputs: makes the inputs of as many.
      operations: of the matrix products of one step.
    """

    step: Callable[[], object]
    inputs: Callable[[], object]
    operations: float


def encoder_training(config: GoConfig, num_positions: int) -> Training:
    """Of the network whose features become keys."""
    known = go_positions.retrieval_set(num_positions)
    games = known.positions.games
    data = jax.device_put(
        Batch(known.positions, known.games.komi[games], known.games.outcomes[games])
    )
    settings = config.encoder
    graphdef, params = nnx.split(new_encoder(settings, config.seed))
    optimizer = train_encoder.optimizer(settings)
    sample = partial(train_encoder.batch_at, batch_size=settings.batch_size)

    def steps(state: TrainState, data: Batch, count: int) -> TrainState:
        return train_steps(
            state,
            jax.random.key(0),
            num_steps=count,
            sample_fn=lambda rng_key: sample(data, rng_key=rng_key),
            show_fn=show_positions,
            loss_fn=partial(encoder_loss, graphdef, settings.value_weight),
            optimizer=optimizer,
            num_slices=num_slices(settings.batch_size),
        )[0]

    def planes(data: Batch, rng_key: jax.Array) -> jax.Array:
        batch = sample(data, rng_key=rng_key)
        turned = _symmetries(rng_key, batch.komi)
        return observation_planes(batch.positions, batch.komi, turned)

    return _training(steps, init_state(params, optimizer), planes, data)


def policy_training(config: GoConfig, num_positions: int) -> Training:
    """Of the semi-parametric model."""
    count = config.retrieval.num_neighbors
    known = go_positions.retrieval_set(num_positions)
    found = go_positions.neighbors(num_positions, count)
    inputs = jax.device_put(TrainInputs(known, found, jnp.float32(1.0)))
    graphdef, state = policy.untrained(config)

    def steps(state: TrainState, inputs: TrainInputs, count: int) -> TrainState:
        return train_steps(
            state,
            jax.random.key(0),
            num_steps=count,
            sample_fn=partial(train_policy.sample_batch, config, inputs),
            show_fn=partial(show, config, inputs.known, inputs.distance_scale),
            loss_fn=partial(policy_loss, config, graphdef),
            optimizer=policy.optimizer(config),
            num_slices=num_slices(config.train.batch_size),
        )[0]

    def planes(inputs: TrainInputs, rng_key: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch = train_policy.sample_batch(config, inputs, rng_key)
        turned = _symmetries(rng_key, batch.asking.komi)
        observation = observation_planes(batch.asking.positions, batch.asking.komi, turned)
        heard = neighbor_inputs(inputs.known, batch.neighbors, turned, inputs.distance_scale)
        return observation, heard.planes

    return _training(steps, state, planes, inputs)


def _symmetries(rng_key: jax.Array, komi: jax.Array) -> jax.Array:
    return jax.random.randint(rng_key, komi.shape, 0, NUM_SYMMETRIES)


def _training(
    steps: Callable[[TrainState, Any, int], TrainState],
    start: TrainState,
    planes: Callable[[Any, jax.Array], Any],
    data: Any,
) -> Training:
    jitted = jax.jit(steps, static_argnums=2)
    state = start

    def step() -> None:
        nonlocal state
        state = jax.block_until_ready(jitted(state, data, STEPS_IN_SCAN))

    @jax.jit
    def all_planes(data: Any) -> Any:
        def one(sums: Any, number: jax.Array) -> tuple[Any, None]:
            made = planes(data, jax.random.fold_in(jax.random.key(0), number))
            # Carried whole, so that the compiler has to write them out.
            return jax.tree.map(jnp.add, sums, made), None

        shapes = jax.eval_shape(planes, data, jax.random.key(0))
        zeros = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
        return jax.lax.scan(one, zeros, jnp.arange(STEPS_IN_SCAN))[0]

    with patch.object(BoardConv, "__call__", nine_points):
        operations = operations_of(lambda state, data: steps(state, data, 1), start, data)
    return Training(step, lambda: jax.block_until_ready(all_planes(data)), operations)


def nine_points(conv: BoardConv, x: jax.Array) -> jax.Array:
    """What a BoardConv computes, with no more operations than it takes."""
    batch, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    views = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    patches = jnp.concatenate(views, axis=-1).reshape(batch * height * width, -1)
    return conv.linear(patches).reshape(batch, height, width, -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=250_000)
    parser.add_argument("--preset", default="default", help="as `rrl list presets`")
    parser.add_argument("--rounds", type=int, default=7)
    default = result_file.RESULTS / "bench-go-steps.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    config = resolve("go9", preset=options.preset)
    trainings = {
        "encoder": encoder_training(config, options.positions),
        "policy": policy_training(config, options.positions),
    }
    measure_rate = product_rate()
    rates: list[float] = []
    work: dict[str, Callable[[], object]] = {"product": lambda: rates.append(measure_rate())}
    for name, training in trainings.items():
        work |= {name: training.step, f"{name}_inputs": training.inputs}
    samples = in_turn(work, options.rounds)
    seconds = medians(samples)
    del samples["product"]
    samples["product_rate"] = rates[1:]  # The first was to warm up.
    refuse_busy(samples["product_rate"])
    summary = {}
    for name, training in trainings.items():
        of_step = seconds[name] / STEPS_IN_SCAN
        limit = training.operations / statistics.median(samples["product_rate"])
        summary[f"{name}_share_of_limit"] = limit / of_step
        summary[f"{name}_share_of_input_pipeline"] = seconds[f"{name}_inputs"] / seconds[name]
        summary[f"{name}_milliseconds"] = of_step * 1e3
        summary[f"{name}_limit_milliseconds"] = limit * 1e3
    result_file.write(
        options.out,
        benchmark="go-steps",
        what=__doc__,
        summary=summary,
        packages=("jax", "flax", "optax"),
        operations={name: training.operations for name, training in trainings.items()},
        encoder=config.encoder.model_dump(mode="json"),
        model=config.model.model_dump(mode="json"),
        batch_sizes={"encoder": config.encoder.batch_size, "policy": config.train.batch_size},
        steps_per_sample=STEPS_IN_SCAN,
        samples=samples,
    )


if __name__ == "__main__":
    main()
