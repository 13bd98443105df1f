"""How to come back to an expert's path: time-varying linear-quadratic regulation around its steps.

Around step t of an episode the learned dynamics are d_{t+1} = A d_t + B e_t, with d the deviation
of the observation, e that of the action. The cost of deviations, sum of discount^k (|d|^2 / O +
control_cost |e|^2) to the end of the episode, has the least value d' P_t d, with e = K_t d; both
follow from the end backwards (Riccati).
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from retrieve_rl import artifacts
from retrieve_rl.config import digest
from retrieve_rl.locks import shared
from retrieve_rl.reframe.config import RESULTS_VERSION, ReframeConfig
from retrieve_rl.reframe.data import TrainingData
from retrieve_rl.reframe.dynamics import DynamicsModel, one_step_error, train_dynamics
from retrieve_rl.reframe.steering import Tracking, cost_keys
from retrieve_rl.reframe.windows import StepTable
from retrieve_rl.results import Run
from retrieve_rl.types import Array

_KIND, _FILE = "tracking", "tracking.npz"
_LINEARIZED_AT_ONCE = 256
_LEAST_SPREAD = 1e-2
_LAST_STEPS = 5
"""Steps before the end of an episode that are not recalled: little can still be lost there, so any
deviation looks cheap."""
_NEVER = 1e9


class Linear(NamedTuple):
    """The dynamics around every step: d' = A d + B e."""

    a: Float[Array, "N O O"]
    b: Float[Array, "N O U"]


class Regulation(NamedTuple):
    """Gains K and costs P of every step; zero gains at the last step of an episode."""

    gains: Float[Array, "N U O"]
    costs: Float[Array, "N O O"]


class OpenedTracking(NamedTuple):
    """What steers, and facts about it for the result."""

    tracking: Tracking
    facts: dict[str, Any]


def tracking_folder(config: ReframeConfig, data: TrainingData, root: Path) -> Path:
    """Where the tracking of this config and this data lies; shared by all arms."""
    made_from = {
        "dataset": data.inputs["dataset"]["sha256"],
        "top_fraction": config.data.top_fraction,
        "memory_from": config.data.memory_from,
        "experts": data.inputs["experts"]["sha256"],
        "drawn": data.inputs["experts"]["drawn"],
        "normalizer": artifacts.sha256_of_arrays(data.normalizer._asdict()),
        "seed": config.seed,
        "dynamics": config.dynamics.model_dump(),
        "control_cost": config.steering.control_cost,
        "discount": config.steering.discount,
        "results_version": RESULTS_VERSION,
    }
    return root / "trackings" / digest(made_from)[:16]


def make_or_open(config: ReframeConfig, data: TrainingData, run: Run) -> OpenedTracking:
    """Opens the tracking this config asks for; learns the dynamics first where there is none.

    Raises:
      DataError: a damaged one; delete it and run again.
      Interrupted: a signal asked to stop.
    """
    folder = tracking_folder(config, data, run.root)
    with shared(folder, run.reporter, run.stop):
        if not folder.exists():
            _make(config, data, run, folder)
    manifest = artifacts.verify(folder, kind=_KIND)
    tracking = Tracking(**artifacts.load_arrays(folder / _FILE))
    return OpenedTracking(tracking, {**manifest.metadata, "sha256": manifest.digest})


def _make(config: ReframeConfig, data: TrainingData, run: Run, folder: Path) -> None:
    model = train_dynamics(config.dynamics, data.data, data.experts, config.seed, run)
    tracking = track(model, data.experts, config.steering.control_cost, config.steering.discount)
    facts = {
        "one_step_error": {
            "experts": one_step_error(model, data.experts),
            "held_out": one_step_error(model, data.held_out) if data.held_out else None,
        }
    }
    made_from = {name: data.inputs[name]["sha256"] for name in ("dataset", "experts")}
    with artifacts.create(folder, kind=_KIND, made_from=made_from, metadata=facts) as building:
        arrays = {name: np.asarray(part) for name, part in tracking._asdict().items()}
        artifacts.save_arrays(building / _FILE, arrays)


def track(
    model: DynamicsModel, experts: StepTable, control_cost: float, discount: float
) -> Tracking:
    """Gains and costs of every step of the experts."""
    center = jnp.mean(experts.observations, axis=0)
    spread = jnp.maximum(jnp.std(experts.observations, axis=0), _LEAST_SPREAD)
    z, actions = (experts.observations - center) / spread, jnp.asarray(experts.actions)
    trajectories = jnp.asarray(experts.trajectories)
    linear = linearize(model, z, actions, center, spread)
    found = regulate(linear, trajectories, control_cost, discount)
    keys = cost_keys(z, found.costs)
    keys = keys.at[:, -1].add(_NEVER * _ends_soon(trajectories))
    return Tracking(center, spread, z, actions, found.gains, keys)


def linearize(
    model: DynamicsModel,
    z: Float[Array, "N O"],
    actions: Float[Array, "N U"],
    center: Float[Array, " O"],
    spread: Float[Array, " O"],
) -> Linear:
    """Derivatives of the next z by z and by the action."""

    def following(z: Float[Array, " O"], action: Float[Array, " U"]) -> Float[Array, " O"]:
        return z + model.change(z * spread + center, action) / spread

    derivatives = jax.jacfwd(following, argnums=(0, 1))
    return Linear(
        *jax.lax.map(lambda step: derivatives(*step), (z, actions), batch_size=_LINEARIZED_AT_ONCE)
    )


@jax.jit
def regulate(
    linear: Linear,
    trajectories: Int[Array, " N"],
    control_cost: Float[Array, ""] | float,
    discount: Float[Array, ""] | float,
) -> Regulation:
    """Gains and costs, from the end of every episode backwards."""
    observation_dim, action_dim = linear.b.shape[1:]
    of_state = jnp.eye(observation_dim) / observation_dim
    of_control = control_cost * jnp.eye(action_dim)
    is_last = jnp.append(trajectories[1:] != trajectories[:-1], True)

    def before(following: Array, step: tuple[Linear, Array]) -> tuple[Array, Regulation]:
        (a, b), last = step
        through = discount * b.T @ following
        gain = -jnp.linalg.solve(of_control + through @ b, through @ a)
        closed = a + b @ gain
        cost = of_state + gain.T @ of_control @ gain + discount * closed.T @ following @ closed
        cost = jnp.where(last, of_state, 0.5 * (cost + cost.T))
        return cost, Regulation(jnp.where(last, 0.0, gain), cost)

    _, found = jax.lax.scan(before, of_state, (linear, is_last), reverse=True)
    return found


def _ends_soon(trajectories: Int[Array, " N"]) -> Bool[Array, " N"]:
    later = jnp.roll(trajectories, -_LAST_STEPS)
    beyond = jnp.arange(len(trajectories)) >= len(trajectories) - _LAST_STEPS
    return beyond | (later != trajectories)
