"""The settings of a Re:Frame experiment. Every field can be set in TOML or by `--set`."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from retrieve_rl.config import (
    RunConfig,
    Strict,
    digest,
    dotted,
    find,
    layers_of,
    merge,
    read_toml,
    settings_of,
    validate,
)
from retrieve_rl.errors import UsageError
from retrieve_rl.reframe.own_backbone import SHIPPED, source_digest

RESULTS_VERSION = 3
"""Raised in the commit that changes what a config computes; results of two versions never mix."""


class EnvConfig(Strict):
    """The environment a policy is evaluated in, and how its return is reported."""

    id: str = "Hopper-v5"
    target_return: float = 3600.0
    """Return-to-go at the first step, in raw units; the one headline target of every arm."""
    max_steps: int = Field(1000, ge=1)
    score_table: str = ""
    """Name of the table the bounds come from; empty together with the bounds."""
    score_min: float | None = None
    score_max: float | None = None

    @model_validator(mode="after")
    def _bounds_come_together(self) -> "EnvConfig":
        given = [self.score_min is not None, self.score_max is not None, self.score_table != ""]
        if any(given) and not all(given):
            raise ValueError("env.score_table, env.score_min and env.score_max go together")
        if self.score_min is not None and self.score_max is not None:
            if self.score_max <= self.score_min:
                raise ValueError(
                    f"env.score_max {self.score_max:g} must lie above env.score_min"
                    f" {self.score_min:g}"
                )
        return self


class DataConfig(Strict):
    """What the policy is trained on, and whose experts it may use."""

    short: bool = False
    """Read the short version of a bundled data set; only the smoke preset does."""
    dataset: str = "rrl/hopper/medium-v0"
    experts: str = "rrl/hopper/expert-v0"
    num_experts: int = Field(60, ge=1)
    """Expert episodes drawn by the seed; a smaller draw is the beginning of a larger one."""
    memory_from: Literal["experts", "data"] = "experts"
    """data: no experts at all; the episodes of the data set with the highest returns leave it and
    take their place (ours)."""
    expert_share: float = Field(0.5, ge=0.0, le=1.0)
    """Share of a batch's windows that come from the expert episodes."""
    top_fraction: float = Field(1.0, gt=0.0, le=1.0)
    """Keep only this share of the data set's episodes, those of highest return (%BC)."""
    normalizer: Literal["data", "experts"] = "data"
    """Whose observation statistics standardize the input; ours is "data" in every arm."""
    return_scale: float = Field(1000.0, gt=0.0)
    allow_mixed_families: bool = False

    @property
    def dataset_id(self) -> str:
        return _short(self.dataset) if self.short else self.dataset

    @property
    def experts_id(self) -> str:
        return _short(self.experts) if self.short else self.experts


class MemoryConfig(Strict):
    """Stage 1: the autoencoder of (return-to-go, observation, action) and its buffer."""

    latent_dim: int = Field(32, ge=1)
    width: int = Field(128, ge=1)
    steps: int = Field(2000, ge=1)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(1e-3, gt=0.0)


class RetrievalConfig(Strict):
    """Stage 2: how the memory is asked and how its answer enters the action."""

    source: Literal["neighbors", "random", "none"] = "neighbors"
    query: Literal["encoder", "learned", "observation"] = "encoder"
    lookup: Literal["nearest", "soft"] = "soft"
    correction: Literal["add", "gate", "replace"] = "gate"
    learns_on: Literal["experts", "all"] = "experts"
    """Which windows teach the correction: the experts' alone (ours), or the whole batch."""
    num_neighbors: int = Field(10, ge=1)
    hidden_segment: int = Field(50, ge=1)
    """With one expert episode, a query never sees its own segment of this many steps or the two
    beside it."""

    @property
    def found_before_training(self) -> bool:
        """Whether a row's neighbors are the same at every step: none learned, none drawn."""
        return self.query != "learned" and self.source == "neighbors"

    @model_validator(mode="after")
    def _nearest_is_one(self) -> "RetrievalConfig":
        if self.lookup == "nearest" and self.num_neighbors != 1 and self.query != "learned":
            raise ValueError("retrieval.lookup = nearest reads one neighbor: set num_neighbors = 1")
        return self


class TransformerConfig(Strict):
    """Decision Transformer (Chen et al. 2021, Table 9)."""

    num_layers: int = Field(3, ge=1)
    num_heads: int = Field(1, ge=1)
    width: int = Field(128, ge=1)
    dropout: float = Field(0.1, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "TransformerConfig":
        if self.width % self.num_heads:
            raise ValueError(
                f"transformer.width {self.width} is not a multiple of transformer.num_heads"
                f" {self.num_heads}"
            )
        return self


class MlpConfig(Strict):
    """Behavior cloning: observation to action."""

    num_layers: int = Field(2, ge=1)
    width: int = Field(256, ge=1)


class OptimizerConfig(Strict):
    """AdamW; the rate rises linearly, then falls by a cosine to zero at the last step."""

    learning_rate: float = Field(3e-3, gt=0.0)
    weight_decay: float = Field(1e-4, ge=0.0)
    warmup_fraction: float = Field(0.1, ge=0.0, le=1.0)
    clip_norm: float = Field(0.25, gt=0.0)


class TrainConfig(Strict):
    """Stage 2's budget."""

    steps: int = Field(20_000, ge=0)
    batch_size: int = Field(64, ge=1)
    context_len: int = Field(20, ge=1)
    checkpoint_every: int = Field(1000, ge=1)


class EvaluateConfig(Strict):
    """Rollouts of the last checkpoint on fixed seeds, apart from every training seed."""

    episodes: int = Field(20, ge=1)


class ReframeConfig(RunConfig):
    """One run, whole. The seed draws the experts and starts the training."""

    paper: Literal["reframe"] = "reframe"
    backbone: str = "dt"
    """"dt", "mlp", or an import path "package.module:Class" of a Backbone."""
    env: EnvConfig = EnvConfig()
    data: DataConfig = DataConfig()
    memory: MemoryConfig = MemoryConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    transformer: TransformerConfig = TransformerConfig()
    mlp: MlpConfig = MlpConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _corrections_have_teachers(self) -> "ReframeConfig":
        experts_teach = self.retrieves and self.retrieval.learns_on == "experts"
        if experts_teach and self.train.steps > 0 and self.experts_in_batch == 0:
            raise ValueError(
                "retrieval.learns_on = experts needs expert windows in the batch: raise"
                " data.expert_share, or set retrieval.learns_on = all"
            )
        return self

    @property
    def experts_in_batch(self) -> int:
        """How many of a batch's windows come from the expert episodes."""
        return round(self.data.expert_share * self.train.batch_size)

    @property
    def retrieves(self) -> bool:
        """Whether the policy asks a memory at all."""
        return self.retrieval.source != "none"

    @property
    def needs_autoencoder(self) -> bool:
        """Raw observations as keys (nearest-expert) need no stage 1."""
        return self.retrieves and self.retrieval.query != "observation"

    @property
    def tuning(self) -> bool:
        """Seeds from 100 up choose settings; they draw other experts and other rollouts."""
        return self.seed >= 100


def config_hash(config: ReframeConfig) -> str:
    """Hash of all that determines the numbers of a run."""
    return digest({"results_version": RESULTS_VERSION, **settings_that_count(config)})


def settings_that_count(config: ReframeConfig) -> dict[str, Any]:
    """The settings, and the digest of the code where the backbone is the user's own.

    Raises:
      UsageError: there is no such backbone.
    """
    settings = settings_of(config)
    if config.backbone not in SHIPPED:
        settings["backbone_sha256"] = source_digest(config.backbone)
    return settings


def default_experts(dataset: str) -> str | None:
    """The expert data of the same family as `dataset`; None where it must be named: for a file, an
    imported one, or a Minari data set of the user's own."""
    family, _, rest = dataset.partition("/")
    if family not in ("rrl", "mujoco") or not rest:
        return None
    return f"{family}/{rest.partition('/')[0]}/expert-v0"


def _short(dataset: str) -> str:
    bundled = dataset.startswith("rrl/") and not dataset.endswith("-short-v0")
    return dataset.removesuffix("-v0") + "-short-v0" if bundled else dataset


_SAID_BY_TASKS = ("env.id", "env.target_return", "data.dataset", "data.experts")
"""What has no default that would suit another environment."""


def resolve(
    task: str,
    *,
    preset: str = "default",
    arm: str = "reframe",
    seed: int = 0,
    dataset: str | None = None,
    experts: str | None = None,
    settings: Sequence[str] = (),
) -> ReframeConfig:
    """The config of a run: defaults, then task, preset and arm TOML, data options, `key=value`s.

    Raises:
      UsageError: an unknown name or key, a bad value, a task that lacks what is its own to say, or
        a `dataset` of the user's own without `experts`.
    """
    files = {
        "task": find("tasks", task),
        "preset": find("presets", preset),
        "arm": find("arms", arm),
    }
    names = {**{kind: file.stem for kind, file in files.items()}, "seed": seed}
    layers = [read_toml(file) for file in files.values()]
    if dataset is not None:
        experts = experts or default_experts(dataset)
        if experts is None:
            raise UsageError(
                f"--dataset {dataset} has no expert data of its own: name some with --experts"
            )
        layers.append({"data": {"dataset": dataset}})
    if experts is not None:
        layers.append({"data": {"experts": experts}})
    layers += layers_of(settings)
    source = f"task {names['task']}, preset {preset}, arm {arm}"
    values = merge([*layers, names])
    config = validate(ReframeConfig, values, source=source)
    missing = [key for key in _SAID_BY_TASKS if key not in dotted(values)]
    if missing:
        raise UsageError(f"{source}: a task must say {', '.join(missing)}")
    return config
