"""Runs a recipe: behavior policies in their environments, on all cores, reproducibly.

A work unit is a fixed list of episodes stepped in lockstep, with one batched policy call a step.
Nothing in it depends on which process runs it, nor on what that process ran before, so the arrays
are the same for any number of workers. Worker processes import neither jax nor minari.
"""

import functools
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrieve_rl.processes import usable_cores, worker_pool
from retrieve_rl.progress import Advance, Reporter
from retrieve_rl.reframe.behavior import load_policy
from retrieve_rl.reframe.recipes import Recipe, Stage, action_seed, reset_seed
from retrieve_rl.signals import UNASKED, StopRequest

# Part of the recipe: another group size changes the shapes of the policy's matrix products and
# so, possibly, their last bits.
EPISODES_PER_UNIT = 8
_LOOK_SECONDS = 0.2
"""How long a request to stop may go unseen."""


@dataclass(frozen=True)
class Rollout:
    """One episode of T steps.

    Attributes:
      observations: [T + 1, O] float32, the last one after the last action.
      actions: [T, A] float32.
      rewards: [T] float32.
      terminated: False where the time limit ended it.
      seed: what `env.reset` got.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    seed: int


def collect(
    recipe: Recipe,
    reporter: Reporter,
    stop: StopRequest = UNASKED,
    *,
    workers: int | None = None,
) -> list[Rollout]:
    """All episodes of a recipe, stage by stage, in the order of their numbers.

    Args:
      workers: processes; by default one per core this process may use.

    Raises:
      ResourceError: a worker process died.
      Interrupted: a signal asked to stop.
    """
    workers = workers or usable_cores()
    states = [_StageState(number, stage) for number, stage in enumerate(recipe.stages)]
    goal = sum(state.goal for state in states)
    with (
        reporter.track(f"making {recipe.dataset_id}", goal) as advance,
        worker_pool(workers, f"making {recipe.dataset_id}") as executor,
    ):
        _run_units(executor, recipe, states, 2 * workers, advance, stop)
        advance(goal)
    return [rollout for state in states for rollout in state.chosen()]


def collect_unit(recipe: Recipe, stage: int, unit: int) -> list[Rollout]:
    """The episodes `unit * EPISODES_PER_UNIT ...` of a stage, stepped in lockstep."""
    policy = load_policy(recipe.robot, recipe.stages[stage].policy)
    envs, limit = _environments(recipe.env_id)
    numbers = range(unit * EPISODES_PER_UNIT, (unit + 1) * EPISODES_PER_UNIT)
    seeds = [reset_seed(recipe, stage, number) for number in numbers]
    generators = [np.random.default_rng(action_seed(recipe, stage, number)) for number in numbers]
    noise = np.stack([policy.noise(generator, limit) for generator in generators])  # [N, T, A]
    first = np.stack([env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)])
    observations = np.empty((len(seeds), limit + 1, first.shape[1]), dtype=np.float32)
    observations[:, 0] = first
    actions = np.empty_like(noise)
    rewards = np.empty((len(seeds), limit), dtype=np.float32)
    lengths, terminated = np.full(len(seeds), limit), np.zeros(len(seeds), dtype=bool)
    for step in range(limit):
        live = np.flatnonzero(~terminated)
        if len(live) == 0:
            break
        actions[live, step] = policy(observations[live, step], noise[live, step])
        for slot in live.tolist():
            observation, reward, ended, _, _ = envs[slot].step(actions[slot, step])
            observations[slot, step + 1] = observation
            rewards[slot, step] = reward
            if ended:
                lengths[slot], terminated[slot] = step + 1, True
    return [
        Rollout(
            observations[slot, : length + 1].copy(),
            actions[slot, :length].copy(),
            rewards[slot, :length].copy(),
            bool(terminated[slot]),
            seeds[slot],
        )
        for slot, length in enumerate(lengths.tolist())
    ]


@dataclass
class _StageState:
    """Units of one stage: running, finished, and how many more it seems to need."""

    number: int
    stage: Stage
    units: dict[int, list[Rollout]] = field(default_factory=dict)
    submitted: int = 0
    done: int = 0  # over all finished units

    @property
    def goal(self) -> int:
        return self.stage.steps or self.stage.episodes

    def _amount(self, rollouts: list[Rollout]) -> int:
        if self.stage.steps:
            return sum(len(rollout.rewards) for rollout in rollouts)
        return len(rollouts)

    def finish(self, unit: int, rollouts: list[Rollout]) -> None:
        self.units[unit] = rollouts
        self.done += self._amount(rollouts)

    def wants_unit(self) -> bool:
        """Whether the running units, at the mean size so far, would still leave it short.

        Only decides what is tried early: `chosen` does not depend on the order of finishing.
        """
        running = self.submitted - len(self.units)
        if not self.units:
            return running < 2
        return self.done + running * self.done / len(self.units) < self.goal

    def chosen(self) -> list[Rollout]:
        """Whole episodes in the order of their numbers until the goal is reached."""
        kept: list[Rollout] = []
        reached = 0
        for unit in sorted(self.units):
            for rollout in self.units[unit]:
                if reached >= self.goal:
                    return kept
                kept.append(rollout)
                reached += self._amount([rollout])
        return kept


def _run_units(
    executor: ProcessPoolExecutor,
    recipe: Recipe,
    states: list[_StageState],
    most_running: int,
    advance: Advance,
    stop: StopRequest,
) -> None:
    """Keeps the workers busy, on later stages too, until every stage has reached its goal."""
    running: dict[Future[list[Rollout]], tuple[_StageState, int]] = {}
    goal = sum(state.goal for state in states)
    while True:
        for state in states:
            while len(running) < most_running and state.wants_unit():
                future = executor.submit(collect_unit, recipe, state.number, state.submitted)
                running[future] = (state, state.submitted)
                state.submitted += 1
        if not running:
            return
        finished = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done
        stop.raise_if_requested(f"nothing of {recipe.dataset_id} is kept: run again to make it")
        for future in finished:
            state, unit = running.pop(future)
            state.finish(unit, future.result())
        advance(min(sum(min(state.done, state.goal) for state in states), goal - 1))


@functools.lru_cache(maxsize=4)
def _environments(env_id: str) -> tuple[list[Any], int]:
    """A group of environments without wrappers, and their own time limit in steps."""
    import gymnasium

    made = [gymnasium.make(env_id, disable_env_checker=True) for _ in range(EPISODES_PER_UNIT)]
    limit = made[0].spec.max_episode_steps if made[0].spec else None
    if limit is None:
        raise ValueError(f"{env_id} has no time limit")
    return [env.unwrapped for env in made], limit
