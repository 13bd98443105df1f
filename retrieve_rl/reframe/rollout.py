"""Episodes in the environment: all at once, one batched policy call a step."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from jaxtyping import Float

from retrieve_rl.errors import DataError, MissingDependencyError
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.windows import Normalizer, Window
from retrieve_rl.signals import StopRequest


class Answer(NamedTuple):
    """What a policy says for one step of E episodes; the last two are zero without a memory."""

    actions: Float[np.ndarray, "E A"]
    gate: Float[np.ndarray, " E"]
    closeness: Float[np.ndarray, " E"]


ActFn = Callable[[Window, int], Answer]
"""(windows of the E episodes, time step) -> answer."""


@dataclass(frozen=True)
class Rollouts:
    """Finished episodes.

    Attributes:
      outcomes: one record an episode: seed, return_raw, length, terminated, status.
      gate: mean opening of the correction over all steps.
      closeness: mean closeness of the nearest neighbor over all steps.
      seconds_acting: time in the policy.
      calls: of the policy, each for all the episodes.
      steps: environment steps taken.
    """

    outcomes: list[dict[str, Any]]
    gate: float
    closeness: float
    seconds_acting: float
    calls: int
    steps: int


class _History:
    """The last `context_len` steps of E episodes, as left-padded windows."""

    def __init__(
        self,
        num_episodes: int,
        context_len: int,
        max_steps: int,
        observation_dim: int,
        action_dim: int,
    ) -> None:
        self.context_len = context_len
        length = max_steps + context_len
        self.observations = np.zeros((num_episodes, length, observation_dim), np.float32)
        self.actions = np.zeros((num_episodes, length, action_dim), np.float32)
        self.returns_to_go = np.zeros((num_episodes, length), np.float32)
        self.timesteps = np.maximum(np.arange(length) - context_len + 1, 0).astype(np.int32)
        self.real = np.arange(length) >= context_len - 1

    def at(self, step: int) -> int:
        """Column of a time step; the columns before the first step's are padding."""
        return step + self.context_len - 1

    def window(self, step: int) -> Window:
        columns = slice(step, step + self.context_len)
        shape = (self.observations.shape[0], self.context_len)
        return Window(
            self.observations[:, columns],
            self.actions[:, columns],
            self.returns_to_go[:, columns],
            np.broadcast_to(self.timesteps[columns], shape),
            np.broadcast_to(self.real[columns], shape),
        )


def make_environments(env_id: str, count: int) -> list[gymnasium.Env]:
    """Raises MissingDependencyError where gymnasium has no such environment."""
    try:
        return [gymnasium.make(env_id, disable_env_checker=True) for _ in range(count)]
    except (gymnasium.error.Error, ImportError) as error:
        raise MissingDependencyError(f"environment {env_id} cannot be made: {error}") from None


def check_environment(env_id: str, observation_dim: int, action_dim: int) -> None:
    """Refuses, before anything is trained, an environment that the data's widths do not fit.

    Raises:
      MissingDependencyError: as `make_environments`.
      DataError: its observations or actions are no vectors of these widths.
    """
    (env,) = make_environments(env_id, 1)
    found = (env.observation_space.shape, env.action_space.shape)
    env.close()
    if found != ((observation_dim,), (action_dim,)):
        raise DataError(
            f"{env_id} has observations of shape {found[0]} and actions of shape {found[1]}, the"
            f" data ({observation_dim},) and ({action_dim},): choose another --task or --dataset"
        )


def rollout(
    act: ActFn,
    *,
    env_id: str,
    seeds: Sequence[int],
    max_steps: int,
    context_len: int,
    target_return: float,
    return_scale: float,
    normalizer: Normalizer,
    reporter: Reporter,
    stop: StopRequest,
) -> Rollouts:
    """Runs one episode per seed to its end, its time limit or `max_steps`.

    The return-to-go starts at `target_return` and falls by the reward received (Decision
    Transformer, section 4). An episode whose observation or reward is not finite ends there with
    status "non_finite".
    """
    environments = make_environments(env_id, len(seeds))
    action_dim = int(np.prod(environments[0].action_space.shape or (1,)))
    history = _History(len(seeds), context_len, max_steps, normalizer.mean.shape[0], action_dim)
    observations = np.stack(
        [env.reset(seed=seed)[0] for env, seed in zip(environments, seeds, strict=True)]
    )
    remaining = np.full(len(seeds), target_return)
    outcomes: list[dict[str, Any]] = [
        {"seed": seed, "return_raw": 0.0, "length": 0, "terminated": False, "status": "running"}
        for seed in seeds
    ]
    acting = gate = closeness = 0.0
    calls = taken = 0
    with reporter.track(f"{len(seeds)} episodes", max_steps) as advance:
        for step in range(max_steps):
            alive = [i for i, outcome in enumerate(outcomes) if outcome["status"] == "running"]
            if not alive:
                break
            column = history.at(step)
            history.observations[:, column] = normalizer(observations)
            history.returns_to_go[:, column] = remaining / return_scale
            began = time.perf_counter()
            answer = act(history.window(step), step)
            acting += time.perf_counter() - began
            calls += 1
            actions = np.clip(np.asarray(answer.actions), -1.0, 1.0)
            history.actions[:, column] = actions
            for i in alive:
                observation, reward, terminated, truncated, _ = environments[i].step(actions[i])
                _record(outcomes[i], observation, float(reward), terminated, truncated)
                if outcomes[i]["status"] != "non_finite":
                    observations[i] = observation
                    remaining[i] -= float(reward)
            gate += float(np.asarray(answer.gate)[alive].sum())
            closeness += float(np.asarray(answer.closeness)[alive].sum())
            taken += len(alive)
            advance(step + 1)
            stop.raise_if_requested("the trained policy is kept: run again to evaluate it")
        advance(max_steps)
    for outcome in outcomes:
        if outcome["status"] == "running":
            outcome["status"] = "ok"
    for env in environments:
        env.close()
    return Rollouts(outcomes, gate / taken, closeness / taken, acting, calls, taken)


def _record(
    outcome: dict[str, Any],
    observation: np.ndarray,
    reward: float,
    terminated: bool,
    truncated: bool,
) -> None:
    if not (np.isfinite(observation).all() and np.isfinite(reward)):
        outcome["status"] = "non_finite"
        return
    outcome["return_raw"] += reward
    outcome["length"] += 1
    if terminated or truncated:
        outcome["terminated"] = bool(terminated)
        outcome["status"] = "ok"
