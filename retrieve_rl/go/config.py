"""The settings of a Go experiment. Every field can be set in TOML or by `--set`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from retrieve_rl.config import (
    RunConfig,
    Strict,
    digest,
    find,
    layers_of,
    merge,
    read_toml,
    settings_of,
    validate,
)
from retrieve_rl.go.play_config import PlayConfig
from retrieve_rl.go.points import NUM_MOVES, NUM_POINTS
from retrieve_rl.go.policy_config import HeldOutConfig, ModelConfig, RetrievalConfig, TrainConfig
from retrieve_rl.go.sources import BUNDLED, digest_of_records
from retrieve_rl.retrieval.index import Kind
from retrieve_rl.retrieval.scann_config import Reorder

RESULTS_VERSION = 4
"""Raised in the commit that changes what a config computes; results of two versions never mix."""
DEFAULT_ARM = "retrieval"
_OF_POLICY = ("model", "retrieval", "train", "held_out")
_OF_STUDY = ("play",)


class SourceConfig(Strict):
    """A file or folder of game records and what is taken from it."""

    file: str = BUNDLED
    """"bundled" for the games in the package; else a path below `data.folder`."""
    sha256: str = ""
    """Of the file, see `digest_of_records`; empty for the bundled games."""
    held_out: bool = True
    """Whether validation and test games may come from here."""
    players: tuple[str, ...] = ()
    named_side_only: bool = False
    """Take only positions in which the player to move has a name (one of `players`, if given)."""

    @model_validator(mode="after")
    def _files_are_known_by_digest(self) -> "SourceConfig":
        if (self.file == BUNDLED) != (self.sha256 == ""):
            raise ValueError(f"a source but {BUNDLED!r} needs the sha256 of its file")
        return self


class DataConfig(Strict):
    """The games, and how many of their positions."""

    folder: str = ""
    """Where the files of `sources` lie; no part of the config's hash."""
    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    fraction: float = Field(1.0, gt=0.0, le=1.0)
    """Share of positions kept; 0.15 in Humphreys et al. 2022, section 3.1."""
    validation_share: float = Field(0.05, gt=0.0, lt=0.5)
    test_share: float = Field(0.05, gt=0.0, lt=0.5)

    @model_validator(mode="after")
    def _something_is_held_out(self) -> "DataConfig":
        if not any(source.held_out for source in self.sources):
            raise ValueError("data.sources needs one source with held_out = true")
        return self


class EncoderConfig(Strict):
    """The network without retrieval whose features become keys (Humphreys et al., section 3.2)."""

    channels: int = Field(48, ge=1)
    num_blocks: int = Field(4, ge=1)
    head_channels: int = Field(8, ge=1)
    """Channels of the layer "points"."""
    feature_width: int = Field(256, ge=1)
    """Width of the layer "hidden"."""
    value_weight: float = Field(0.5, ge=0.0)
    steps: int = Field(8000, ge=1)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(2e-3, gt=0.0)
    weight_decay: float = Field(1e-4, ge=0.0)
    warmup_fraction: float = Field(0.05, ge=0.0, le=1.0)
    clip_norm: float = Field(1.0, gt=0.0)
    checkpoint_every: int = Field(500, ge=1)


class KeysConfig(Strict):
    """From features to keys."""

    layer: Literal["points", "hidden", "moves"] = "points"
    """Whose activations: the last layer with a board, the one of the whole board, or the predicted
    moves' probabilities (their square roots; ours)."""
    dim: int = Field(128, ge=1)
    pca_positions: int = Field(50_000, ge=1)
    """Training positions, at most, that the principal components are fitted on."""


class IndexConfig(Strict):
    """The index over the training positions, and how it is asked."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Samples positions, starts the encoder and draws the report's queries. Not the policy's: one
    index serves the policies of all seeds. `rrl build-index --seed` sets it."""
    kind: Kind | None = None
    """exact or scann; by default the number of keys decides."""
    wanted_recall: float = Field(0.95, gt=0.0, le=1.0)
    reorder: Reorder = "bfloat16"
    orientations: Literal[1, 8] = 8
    """In how many orientations a position asks; the nearest of all answers are merged."""
    num_neighbors: int = Field(10, ge=1)
    """Neighbors found for every training position, none from its own game; a policy is trained
    with the first of them."""


class EvaluateConfig(Strict):
    """What the neighbors are judged by."""

    positions: int = Field(4000, ge=1)
    """Test positions, drawn by the seed, that ask; all of them where there are fewer."""


class GoConfig(RunConfig):
    """One run, whole. The seed starts and trains a policy and draws the held-out positions that
    judge it; the index has its own, `index.seed`."""

    paper: Literal["go"] = "go"
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    keys: KeysConfig = KeysConfig()
    index: IndexConfig = IndexConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    model: ModelConfig = ModelConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    train: TrainConfig = TrainConfig()
    held_out: HeldOutConfig = HeldOutConfig()
    play: PlayConfig = PlayConfig()

    @model_validator(mode="after")
    def _enough_neighbors_are_found(self) -> "GoConfig":
        if self.retrieval.num_neighbors > self.index.num_neighbors:
            raise ValueError(
                f"retrieval.num_neighbors {self.retrieval.num_neighbors} is more than the"
                f" index.num_neighbors {self.index.num_neighbors} found for a training position"
            )
        return self

    @model_validator(mode="after")
    def _keys_are_no_wider_than_features(self) -> "GoConfig":
        widths = {
            "points": NUM_POINTS * self.encoder.head_channels,
            "hidden": self.encoder.feature_width,
            "moves": NUM_MOVES,
        }
        if self.keys.dim > widths[self.keys.layer]:
            raise ValueError(
                f"keys.dim {self.keys.dim} is more than the {widths[self.keys.layer]} features of"
                f" layer {self.keys.layer}: lower it, or take a wider layer"
            )
        return self

    @model_validator(mode="after")
    def _who_has_no_neighbors_plays_without(self) -> "GoConfig":
        play = self.play
        asks = play.neighbors not in (None, "none") or play.num_neighbors is not None
        if self.plays and not self.retrieves and (asks or play.grows_by != "nothing"):
            raise ValueError(
                "play.neighbors, play.num_neighbors and play.grows_by are for policies with"
                ' neighbors: retrieval.source is "none"'
            )
        return self

    @property
    def retrieves(self) -> bool:
        """Whether the policy hears of neighbors at all."""
        return self.retrieval.source != "none"

    @property
    def plays(self) -> bool:
        """Whether a study judges the policy by a match, and not on held-out games."""
        return self.play.opponent != ""


def config_hash(config: GoConfig) -> str:
    """Hash of all that determines the numbers of a policy's run, and of `rrl evaluate` on it."""
    return _hash(settings_that_count(config, _OF_STUDY))


def judgment_hash(config: GoConfig) -> str:
    """Hash of all that determines how a study judges a policy."""
    return _hash(settings_that_count(config)) if config.plays else config_hash(config)


def settings_that_count(config: GoConfig, without: Collection[str] = ()) -> dict[str, Any]:
    """What `settings_of` tells of a policy; of the baseline, which asks no index, nothing of that
    but the seed that draws its records."""
    settings = settings_of(config, without)
    if config.retrieves:
        return settings
    seed = {key: value for key, value in settings.get("index", {}).items() if key == "seed"}
    kept = {
        key: value for key, value in settings.items() if key not in ("encoder", "keys", "index")
    }
    return {**kept, "index": seed} if seed else kept


def index_config(config: GoConfig) -> dict[str, Any]:
    """The part of a config that its index is made from, as strict JSON; the same for every arm and
    for every seed of a policy."""
    facts = config.model_dump(mode="json")
    of_index = {name: facts[name] for name in facts if name not in (*_OF_POLICY, *_OF_STUDY)}
    return {**of_index, "arm": DEFAULT_ARM, "seed": config.index.seed}


def index_config_hash(config: GoConfig) -> str:
    """Hash of all that determines the numbers of a run of build-index."""
    settings = settings_of(config, (*_OF_POLICY, *_OF_STUDY, "seed"))
    return _hash({**settings, "arm": DEFAULT_ARM, "of": "index"})


def _hash(settings: dict[str, Any]) -> str:
    data = {name: value for name, value in settings.get("data", {}).items() if name != "folder"}
    return digest({"results_version": RESULTS_VERSION, **settings, "data": data})


def resolve(
    task: str,
    *,
    preset: str = "default",
    arm: str = DEFAULT_ARM,
    seed: int = 0,
    games: Path | None = None,
    settings: Sequence[str] = (),
) -> GoConfig:
    """The config of a run: defaults, then task, preset and arm TOML, the games, `key=value`s.

    Args:
      games: the folder of the files that the task names; for a task on the bundled games, a file
        or folder of records that takes their place.

    Raises:
      UsageError: an unknown name or key, or a bad value.
      DataError: `games` cannot be read.
    """
    files = {
        "task": find("tasks/go", task),
        "preset": find("presets/go", preset),
        "arm": find("arms/go", arm),
    }
    names = {**{kind: file.stem for kind, file in files.items()}, "seed": seed}
    layers = [read_toml(file) for file in files.values()]
    layers += layers_of(settings)
    values = merge([*layers, names])
    if games is not None:
        values = merge([values, {"data": _where(games, values)}])
    source = f"task {names['task']}, preset {preset}, arm {arm}"
    return validate(GoConfig, values, source=source)


def _where(games: Path, values: dict[str, Any]) -> dict[str, Any]:
    games = games.absolute()
    if "sources" in values.get("data", {}):
        return {"folder": str(games)}
    source = {"file": games.name, "sha256": digest_of_records(games)}
    return {"folder": str(games.parent), "sources": [source]}
