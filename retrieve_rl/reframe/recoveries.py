"""Recoveries: how the experts' episodes would have gone on, a little off their path.

An expert that never errs never shows how to come back. From every expert episode some disturbed
copies are imagined: at each step the actuators are disturbed, the learned dynamics around the
expert's step carry the deviation on, and the regulator answers it (`regulation`). The copies are
steps like any others: observation o + d, action a + K d.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from retrieve_rl import artifacts
from retrieve_rl.config import digest
from retrieve_rl.locks import shared
from retrieve_rl.reframe.config import RESULTS_VERSION, ReframeConfig
from retrieve_rl.reframe.data import TrainingData
from retrieve_rl.reframe.dynamics import DynamicsModel, one_step_error, train_dynamics
from retrieve_rl.reframe.regulation import Linear, is_last, linearize, regulate
from retrieve_rl.reframe.windows import StepTable
from retrieve_rl.results import Run
from retrieve_rl.types import Array

_KIND, _FILE = "recoveries", "recoveries.npz"
_LEAST_SPREAD = 1e-2
_FARTHEST = 3.0
"""Of a deviation, in the experts' standard deviations: beyond it no linear model holds."""


class Recoveries(NamedTuple):
    """Imagined episodes, and facts about them for the result.

    Attributes:
      steps: the copies of all expert episodes, in the experts' order, one after the other.
      copies: of each expert episode.
    """

    steps: StepTable
    copies: int
    facts: dict[str, Any]

    def of_experts(self, experts: StepTable) -> np.ndarray:
        """The number of the expert's episode behind every step."""
        return np.tile(np.asarray(experts.trajectories), self.copies)


def recoveries_folder(config: ReframeConfig, data: TrainingData, root: Path) -> Path:
    """Where the recoveries of this config and this data lie; shared by all arms."""
    made_from = {
        "dataset": data.inputs["dataset"]["sha256"],
        "top_fraction": config.data.top_fraction,
        "memory_from": config.data.memory_from,
        "experts": data.inputs["experts"]["sha256"],
        "drawn": data.inputs["experts"]["drawn"],
        "normalizer": artifacts.sha256_of_arrays(data.normalizer._asdict()),
        "return_scale": config.data.return_scale,
        "seed": config.seed,
        "dynamics": config.dynamics.model_dump(),
        "recovery": config.recovery.model_dump(exclude={"share"}),
        "results_version": RESULTS_VERSION,
    }
    return root / "recoveries" / digest(made_from)[:16]


def make_or_open(config: ReframeConfig, data: TrainingData, run: Run) -> Recoveries:
    """Opens the recoveries this config asks for; learns the dynamics first where there are none.

    Raises:
      DataError: damaged ones; delete them and run again.
      Interrupted: a signal asked to stop.
    """
    folder = recoveries_folder(config, data, run.root)
    with shared(folder, run.reporter, run.stop):
        if not folder.exists():
            _make(config, data, run, folder)
    manifest = artifacts.verify(folder, kind=_KIND)
    steps = StepTable(**artifacts.load_arrays(folder / _FILE))
    copies = steps.num_steps // data.experts.num_steps
    return Recoveries(steps, copies, {**manifest.metadata, "sha256": manifest.digest})


def _make(config: ReframeConfig, data: TrainingData, run: Run, folder: Path) -> None:
    model = train_dynamics(config.dynamics, data.data, data.experts, config.seed, run)
    copies = -(-config.recovery.episodes // config.data.num_experts)
    rng_key = jax.random.fold_in(jax.random.key(config.seed), 8)
    steps = imagine(config, model, data.experts, copies, rng_key)
    facts = {
        "copies": copies,
        "one_step_error": {
            "experts": one_step_error(model, data.experts),
            "held_out": one_step_error(model, data.held_out) if data.held_out else None,
        },
    }
    made_from = {name: data.inputs[name]["sha256"] for name in ("dataset", "experts")}
    with artifacts.create(folder, kind=_KIND, made_from=made_from, metadata=facts) as building:
        arrays = {name: np.asarray(part) for name, part in steps._asdict().items()}
        artifacts.save_arrays(building / _FILE, arrays)


def imagine(
    config: ReframeConfig,
    model: DynamicsModel,
    experts: StepTable,
    copies: int,
    rng_key: PRNGKeyArray,
) -> StepTable:
    """The disturbed copies of every expert episode."""
    recovery = config.recovery
    center = jnp.mean(experts.observations, axis=0)
    spread = jnp.maximum(jnp.std(experts.observations, axis=0), _LEAST_SPREAD)
    z, actions = (experts.observations - center) / spread, jnp.asarray(experts.actions)
    trajectories = jnp.asarray(experts.trajectories)
    linear = linearize(model, z, actions, center, spread)
    gains = regulate(linear, trajectories, recovery.control_cost, recovery.discount)
    noise = recovery.disturbance * jax.random.normal(rng_key, (len(z), copies, actions.shape[1]))
    off_path = deviations(linear, gains, is_last(trajectories), noise)  # [N, R, O]
    answers = jnp.einsum("nuo,nro->nru", gains, off_path)
    num_experts = int(trajectories[-1]) + 1
    copied = StepTable(
        observations=experts.observations[:, None] + off_path * spread,
        actions=jnp.clip(actions[:, None] + answers, -1.0, 1.0),
        returns_to_go=_repeated(experts.returns_to_go, copies),
        timesteps=_repeated(experts.timesteps, copies),
        trajectories=_repeated(trajectories, copies) + num_experts * jnp.arange(copies),
    )
    return StepTable(*(np.asarray(_one_after_the_other(column)) for column in copied))


@jax.jit
def deviations(
    linear: Linear,
    gains: Float[Array, "N U O"],
    last: Bool[Array, " N"],
    noise: Float[Array, "N R U"],
) -> Float[Array, "N R O"]:
    """d_{t+1} = (A + B K) d_t + B noise_t, from zero at the first step of every episode."""

    def step(
        d: Float[Array, "R O"], now: tuple[Linear, Array, Array, Array]
    ) -> tuple[Float[Array, "R O"], Float[Array, "R O"]]:
        (a, b), gain, ends, disturbance = now
        following = d @ (a + b @ gain).T + disturbance @ b.T
        return jnp.where(ends, 0.0, jnp.clip(following, -_FARTHEST, _FARTHEST)), d

    start = jnp.zeros((noise.shape[1], gains.shape[2]))
    return jax.lax.scan(step, start, (linear, gains, last, noise))[1]


def _repeated(column: Array, copies: int) -> Array:
    return jnp.repeat(jnp.asarray(column)[:, None], copies, axis=1)


def _one_after_the_other(column: Float[Array, "N R ..."]) -> Float[Array, "N*R ..."]:
    swapped = jnp.swapaxes(column, 0, 1)
    return swapped.reshape(-1, *column.shape[2:])
