"""What a run trains on: the data set, the drawn experts, and the one normalizer for both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe import datasets
from retrieve_rl.reframe.config import ReframeConfig
from retrieve_rl.reframe.d4rl import in_v4
from retrieve_rl.reframe.episodes import Episodes, episode_digests
from retrieve_rl.reframe.experts import draw_experts
from retrieve_rl.reframe.windows import Normalizer, StepTable, fit_normalizer, step_table
from retrieve_rl.signals import UNASKED, StopRequest


@dataclass(frozen=True)
class TrainingData:
    """Everything a run knows before it trains.

    Attributes:
      data: steps of the (suboptimal) data set.
      experts: steps of the drawn expert episodes, in the order they were drawn.
      held_out: steps of expert episodes no arm ever trains on; None in a small expert set.
      normalizer: standardizes the observations of all three, and of the environment.
      env_id: the environment to evaluate in.
      inputs: ids and hashes, for the result.
    """

    data: StepTable
    experts: StepTable
    held_out: StepTable | None
    normalizer: Normalizer
    env_id: str
    inputs: dict[str, Any]

    @property
    def observation_dim(self) -> int:
        return self.data.observations.shape[1]

    @property
    def action_dim(self) -> int:
        return self.data.actions.shape[1]


def load_training_data(
    config: ReframeConfig, reporter: Reporter, stop: StopRequest = UNASKED
) -> TrainingData:
    """Loads, or makes, both data sets; draws the experts, none twice; fits the normalizer.

    Raises:
      DataError: a data set is missing or damaged, or the two do not belong together.
      UsageError: more experts asked for than there are.
      Interrupted: a signal asked to stop while data was made or waited for.
    """
    loaded = datasets.load(config.data.dataset_id, reporter, stop=stop)
    all_experts = datasets.load(config.data.experts_id, reporter, stop=stop)
    at_hand = inputs_at_hand(config)
    env_id = evaluation_env(config, loaded)
    check_pairing(config, loaded, all_experts)
    check_ranges(config, loaded)
    check_ranges(config, all_experts)
    distinct = first_of_each(all_experts, reporter)
    draw = draw_experts(
        len(distinct), config.data.num_experts, seed=config.seed, tuning=config.tuning
    )
    held_out = all_experts.select(distinct[draw.held_out]) if draw.held_out.size else None
    forbidden = all_experts if config.data.memory_from == "experts" else held_out
    own = not_among(loaded, forbidden, reporter)
    if config.data.memory_from == "data":
        own = np.intersect1d(own, first_of_each(loaded, reporter))
    everything = loaded.select(own) if len(own) < loaded.num_episodes else loaded
    kept = best_episodes(everything, config.data.top_fraction)
    data, source, drawn = kept, all_experts, distinct[draw.memory]
    if config.data.memory_from == "data":
        best = highest_returns(kept, config.data.num_experts)
        data = kept.select(np.setdiff1d(np.arange(kept.num_episodes), best))
        if not data.num_episodes:
            raise UsageError(
                f"data.num_experts = {len(best)} takes every episode of {kept.dataset_id}: ask for"
                " fewer"
            )
        # The best of the kept are the best of all, in the same order.
        source, drawn = loaded, own[highest_returns(everything, len(best))]
    experts = source.select(drawn)
    fitted_on = everything if config.data.normalizer == "data" else experts
    normalizer = fit_normalizer(fitted_on.observations)
    scale = config.data.return_scale
    of_experts = left_out(all_experts, distinct) if source is all_experts else {}
    return TrainingData(
        data=step_table(data, normalizer, scale),
        experts=step_table(experts, normalizer, scale),
        held_out=step_table(held_out, normalizer, scale) if held_out else None,
        normalizer=normalizer,
        env_id=env_id,
        inputs={
            "dataset": {**at_hand["dataset"], **describe(loaded), **left_out(loaded, own)},
            "experts": {
                **at_hand["experts"],
                **describe(source),
                **of_experts,
                "drawn": drawn.tolist(),
            },
            "env_id": env_id,
        },
    )


def inputs_at_hand(config: ReframeConfig) -> dict[str, dict[str, str]]:
    """What can be told of a run's inputs without loading them; see `datasets.facts_at_hand`."""
    ids = {"dataset": config.data.dataset_id, "experts": config.data.experts_id}
    if config.data.memory_from == "data":
        ids["experts"] = config.data.dataset_id
    return {role: datasets.facts_at_hand(name) for role, name in ids.items()}


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is known now of the inputs and was another in those of a result, as text."""
    both = [(role, then[role], now[role]) for role in ("dataset", "experts")]
    return [
        f"the {fact} of its {role} is {str(before.get(fact))[:40]}, now {str(after[fact])[:40]}"
        for role, before, after in both
        for fact in sorted(after)
        if before.get(fact) != after[fact] and (fact in before or fact != "file_sha256")
    ]


def changed_since(config: ReframeConfig, inputs: Mapping[str, Any]) -> list[str]:
    """What of the data is another now than in the inputs of a result of this config."""
    return changes(inputs, inputs_at_hand(config))


def check_pairing(config: ReframeConfig, data: Episodes, experts: Episodes) -> None:
    """Refuses experts of another family or environment, or other widths. Raises DataError."""
    widths = [(e.observations.shape[1], e.actions.shape[1]) for e in (data, experts)]
    if widths[0] != widths[1]:
        raise DataError(
            f"{data.dataset_id} has (observation, action) widths {widths[0]},"
            f" {experts.dataset_id} has {widths[1]}: choose --experts of the same environment"
        )
    if config.data.allow_mixed_families:
        return
    found = [(e.family, e.env_id) for e in (data, experts)]
    if found[0] != found[1]:
        raise DataError(
            f"{data.dataset_id} is {found[0][0]} data of {found[0][1] or 'an unknown environment'},"
            f" {experts.dataset_id} is {found[1][0]} data of"
            f" {found[1][1] or 'an unknown environment'}: choose --experts of the same family, or"
            " record the mixture with --set data.allow_mixed_families=true"
        )


def check_ranges(config: ReframeConfig, episodes: Episodes) -> None:
    """Refuses what the policies cannot express: actions outside [-1, 1], episodes longer than
    `env.max_steps`. Raises DataError."""
    largest = float(np.abs(episodes.actions).max())
    if largest > 1.0 + 1e-4:
        raise DataError(
            f"{episodes.dataset_id} has actions up to {largest:.4g}; policies here act in [-1, 1]:"
            " rescale the data and wrap the environment in gymnasium's RescaleAction"
        )
    longest = int(episodes.lengths.max())
    if longest > config.env.max_steps:
        raise DataError(
            f"{episodes.dataset_id} has an episode of {longest} steps; set env.max_steps to at"
            f" least that (found {config.env.max_steps})"
        )


def evaluation_env(config: ReframeConfig, data: Episodes) -> str:
    """The environment the data was made in: D4RL's files belong to the -v4 environments of their
    robots.

    Raises:
      DataError: the data is of another environment than the task.
    """
    env_id = config.env.id
    if data.family == "d4rl":
        env_id = in_v4(env_id)
    if data.env_id and data.env_id != env_id:
        raise DataError(
            f"{data.dataset_id} was made in {data.env_id}, the task {config.task} is evaluated in"
            f" {env_id}: choose another --task or --dataset"
        )
    return env_id


def not_among(
    episodes: Episodes, others: Episodes | None, reporter: Reporter
) -> Int[np.ndarray, " E"]:
    """The numbers of the episodes whose steps are not, byte for byte, those of one of the others.

    Raises:
      DataError: there is none.
    """
    known = set(episode_digests(others)) if others else set()
    own = np.flatnonzero([digest not in known for digest in episode_digests(episodes)])
    also = f"also in the experts ({others.dataset_id})" if others else ""
    if not own.size:
        raise DataError(
            f"every episode of {episodes.dataset_id} is {also}: choose another --dataset or"
            " --experts"
        )
    if len(own) < episodes.num_episodes:
        shared = episodes.num_episodes - len(own)
        reporter.say(
            f"left out {shared} of {episodes.num_episodes} episodes of {episodes.dataset_id}:"
            f" they are {also}"
        )
    return own


def first_of_each(episodes: Episodes, reporter: Reporter) -> Int[np.ndarray, " E"]:
    """The numbers of the episodes whose steps are not, byte for byte, those of an earlier one."""
    first: dict[bytes, int] = {}
    for number, digest in enumerate(episode_digests(episodes)):
        first.setdefault(digest, number)
    repeated = episodes.num_episodes - len(first)
    if repeated:
        reporter.say(
            f"left out {repeated} of {episodes.num_episodes} episodes of {episodes.dataset_id}:"
            " each is the same as an earlier one"
        )
    return np.array(list(first.values()))


def best_episodes(episodes: Episodes, fraction: float) -> Episodes:
    """The `fraction` of the episodes with the highest returns, at least one, in their order."""
    if fraction == 1.0:
        return episodes
    kept = max(1, round(fraction * episodes.num_episodes))
    return episodes.select(np.sort(highest_returns(episodes, kept)))


def highest_returns(episodes: Episodes, count: int) -> Int[np.ndarray, " C"]:
    """The numbers of the episodes with the highest returns, the highest first."""
    return np.argsort(-episodes.returns, kind="stable")[:count]


def left_out(episodes: Episodes, kept: Int[np.ndarray, " E"]) -> dict[str, int]:
    """How many of the episodes are not kept; nothing where all are."""
    count = episodes.num_episodes - len(kept)
    return {"left_out": count} if count else {}


def describe(episodes: Episodes) -> dict[str, Any]:
    return {
        "id": episodes.dataset_id,
        "family": episodes.family,
        "recipe": episodes.recipe,
        "sha256": episodes.sha256,
        "episodes": episodes.num_episodes,
        "steps": episodes.num_steps,
    }
