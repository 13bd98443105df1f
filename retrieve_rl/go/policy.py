"""A trained policy, ready to be judged or to play."""

from dataclasses import dataclass
from pathlib import Path

import optax
from flax import nnx

from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.model import new_model
from retrieve_rl.results import read_result
from retrieve_rl.training import checkpoints
from retrieve_rl.training.state import Params, TrainState, adamw, init_state


@dataclass(frozen=True)
class TrainedPolicy:
    """The model split for the pure functions of `model`.

    Attributes:
      config: of its training.
      graphdef, params: of the `RetrievalModel`.
      distance_scale: the unit of its neighbors' closeness.
    """

    config: GoConfig
    graphdef: nnx.GraphDef
    params: Params
    distance_scale: float


def untrained(config: GoConfig) -> tuple[nnx.GraphDef, TrainState]:
    """The state before the first step."""
    graphdef, params = nnx.split(new_model(config.model, config.retrieval, config.seed))
    return graphdef, init_state(params, optimizer(config))


def optimizer(config: GoConfig) -> optax.GradientTransformation:
    settings = config.train
    return adamw(
        settings.learning_rate,
        warmup_steps=round(settings.warmup_fraction * settings.steps),
        total_steps=settings.steps,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
    )


def open_policy(config: GoConfig, folder: Path) -> TrainedPolicy:
    """The last checkpoint of the finished train-policy run in `folder`.

    Raises:
      DataError: there is no whole checkpoint of the last step, or it is of another run or config.
    """
    path, manifest = checkpoints.checkpoint_of(folder / "checkpoints", config.train.steps)
    if (folder / "result.json").exists():
        checkpoints.check_trained(path, manifest, read_result(folder).training)
    graphdef, fresh = untrained(config)
    state = checkpoints.load_tree(path, fresh)
    return TrainedPolicy(config, graphdef, state.params, manifest.metadata["distance_scale"])


def policy_digest(config: GoConfig, folder: Path) -> str:
    """What names the policy that `open_policy` opens. Raises DataError."""
    return checkpoints.checkpoint_of(folder / "checkpoints", config.train.steps)[1].digest
