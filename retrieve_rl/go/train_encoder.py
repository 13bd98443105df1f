"""Training the encoder on positions of training games, and judging it on the others."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
from flax import nnx
from jaxtyping import Bool, Int, PRNGKeyArray

from retrieve_rl import artifacts
from retrieve_rl.config import digest
from retrieve_rl.go.config import RESULTS_VERSION, EncoderConfig, GoConfig
from retrieve_rl.go.data import GoData
from retrieve_rl.go.encoder import TrainedEncoder, new_encoder, predictions
from retrieve_rl.go.losses import (
    Batch,
    Targets,
    encoder_loss,
    errors,
    present_weights,
    show_positions,
    targets_of,
)
from retrieve_rl.locks import shared
from retrieve_rl.progress import Reporter
from retrieve_rl.results import Run
from retrieve_rl.training import checkpoints
from retrieve_rl.training.curve import forget_after
from retrieve_rl.training.run_loop import train_in_run
from retrieve_rl.training.slices import num_slices
from retrieve_rl.training.state import Metrics, TrainState, adamw, init_state, train_steps

_STEPS_AT_ONCE = 25


def encoder_folder(config: GoConfig, data: GoData, root: Path) -> Path:
    """Where the checkpoints of this config's encoder lie; shared by all runs that want the same."""
    facts = config.encoder.model_dump(mode="json")
    del facts["checkpoint_every"]
    seed = config.index.seed
    key = {**_made_from(data), "encoder": facts, "seed": seed, "version": RESULTS_VERSION}
    return root / "encoders" / digest(key)[:16]


def fit(config: GoConfig, data: GoData, run: Run) -> TrainedEncoder:
    """Trains for `encoder.steps` steps from the newest checkpoint, or opens what is trained.

    Raises:
      NonFiniteLossError: the last good checkpoint is kept.
      Interrupted: a signal came; the state was saved.
    """
    folder = encoder_folder(config, data, run.root)
    with shared(folder, run.reporter, run.stop):
        graphdef, state, path = _newest(config, folder, run.reporter)
        # The logs of a run that has checkpoints are of its policy.
        if not (run.folder / "checkpoints").exists():
            forget_after(run.folder, int(state.step))
        if path is None or int(state.step) < config.encoder.steps:
            state, path = _train(config, data, run, graphdef, state, folder)
        return TrainedEncoder(graphdef, state.params, artifacts.read_manifest(path).digest)


def open_encoder(config: GoConfig, data: GoData, root: Path) -> TrainedEncoder:
    """Opens what `fit` has trained. Raises DataError where the last checkpoint is damaged, or not
    there."""
    path, manifest = checkpoints.checkpoint_of(
        encoder_folder(config, data, root), config.encoder.steps
    )
    graphdef, fresh = _untrained(config)
    return TrainedEncoder(graphdef, checkpoints.load_tree(path, fresh).params, manifest.digest)


def batch_at(data: Batch, batch_size: int, rng_key: PRNGKeyArray) -> Batch:
    """Rows drawn evenly from the positions on the device."""
    rows = jax.random.randint(rng_key, (batch_size,), 0, len(data.komi))
    return jax.tree.map(lambda column: column[rows], data)


def batch_of(data: GoData, rows: Int[np.ndarray, " N"]) -> Batch:
    """Some positions of the store with what is known of their games, on the host."""
    positions = data.store.positions.take(rows)
    return Batch(positions, data.komi(rows), data.store.games.outcomes[positions.games])


def judge(
    encoder: TrainedEncoder,
    data: GoData,
    rows: Int[np.ndarray, " N"],
    never_seen: Bool[np.ndarray, " N"],
) -> dict[str, dict[str, float]]:
    """Errors on some positions as they were played: on all, and on those never seen in training."""
    batch = batch_of(data, rows)
    told = [(one.logits, one.value) for one in predictions(encoder, batch.positions, batch.komi)]
    logits, values = (np.concatenate(parts) for parts in zip(*told, strict=True))
    targets = targets_of(batch, np.zeros(len(rows), np.int32))

    def measure(chosen: Bool[np.ndarray, " N"]) -> dict[str, float]:
        wanted = Targets(*(np.asarray(part)[chosen] for part in targets))
        if not chosen.any():
            return {"positions": 0}
        weights = present_weights(wanted.has_move)
        found = errors(logits[chosen], values[chosen], wanted, weights)
        return {"positions": int(chosen.sum()), **{name: float(x) for name, x in found.items()}}

    return {"all": measure(np.ones(len(rows), bool)), "never_seen": measure(never_seen)}


def _untrained(config: GoConfig) -> tuple[nnx.GraphDef, TrainState]:
    graphdef, params = nnx.split(new_encoder(config.encoder, config.index.seed))
    return graphdef, init_state(params, optimizer(config.encoder))


def _newest(
    config: GoConfig, folder: Path, reporter: Reporter
) -> tuple[nnx.GraphDef, TrainState, Path | None]:
    """The state of the newest checkpoint and its path; a new state and None where there is none."""
    graphdef, state = _untrained(config)
    path = checkpoints.latest_checkpoint(folder, reporter.say)
    return graphdef, state if path is None else checkpoints.load_tree(path, state), path


@partial(jax.jit, static_argnames=("config", "graphdef", "num_steps"))
def _train_steps(
    config: EncoderConfig,
    graphdef: nnx.GraphDef,
    num_steps: int,
    state: TrainState,
    data: Batch,
    rng_key: PRNGKeyArray,
) -> tuple[TrainState, Metrics]:
    return train_steps(
        state,
        rng_key,
        num_steps=num_steps,
        sample_fn=partial(batch_at, data, config.batch_size),
        show_fn=show_positions,
        loss_fn=partial(encoder_loss, graphdef, config.value_weight),
        optimizer=optimizer(config),
        num_slices=num_slices(config.batch_size),
    )


def _train(
    config: GoConfig,
    data: GoData,
    run: Run,
    graphdef: nnx.GraphDef,
    start: TrainState,
    folder: Path,
) -> tuple[TrainState, Path]:
    settings = config.encoder
    on_device = jax.device_put(batch_of(data, data.training_rows))
    rng_key = jax.random.fold_in(jax.random.key(config.index.seed), 1)

    def step_fn(state: TrainState, num_steps: int) -> tuple[TrainState, Metrics]:
        return _train_steps(settings, graphdef, num_steps, state, on_device, rng_key)

    paths = []

    def save(state: TrainState, metrics: dict[str, float]) -> None:
        metadata = {"encoder": settings.model_dump(mode="json"), "seed": config.index.seed}
        paths.append(
            checkpoints.save_checkpoint(
                folder, int(state.step), state, made_from=_made_from(data), metadata=metadata
            )
        )

    state, _ = train_in_run(
        run,
        start,
        {},
        title="training the encoder",
        total_steps=settings.steps,
        steps_at_once=_STEPS_AT_ONCE,
        checkpoint_every=settings.checkpoint_every,
        step_fn=step_fn,
        rate_key="encoder.learning_rate",
        save=save,
    )
    return state, paths[-1]


def _made_from(data: GoData) -> dict[str, str]:
    return {
        "store": data.store.manifest.digest,
        "split": artifacts.sha256_of_arrays({"split": data.split}),
    }


def optimizer(config: EncoderConfig) -> optax.GradientTransformation:
    return adamw(
        config.learning_rate,
        warmup_steps=round(config.warmup_fraction * config.steps),
        total_steps=config.steps,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
    )
