"""Evaluating policies, 20 and 100 episodes at once, beside MuJoCo alone and the network alone.

Ours is the rollout of `rrl evaluate`, environments made and reset included. The policies are not
trained; they compute their actions and random ones are stepped in their place, the same as MuJoCo
alone steps in the same environments. The robot is Hopper without its end at a fall, so that all
episodes last as long. The network alone answers the same windows, one call a step.

The goal of a transformer is a share of 1 / (MuJoCo's time + the network's time).
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gymnasium
import jax
import numpy as np
import result_file
from flax import nnx
from turns import in_turn, medians

from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.config import resolve
from retrieve_rl.reframe.policy import TrainedPolicy, new_policy
from retrieve_rl.reframe.rollout import Answer, make_environments, rollout
from retrieve_rl.reframe.windows import Normalizer, Window
from retrieve_rl.signals import StopRequest

ENV_ID, OBSERVATION_DIM, ACTION_DIM = "BenchmarkHopper-v0", 11, 3
EPISODES = (20, 100)
STEPS = {"mlp": 1000, "dt": 200}
"""Of an episode; a transformer's take so long that what comes before them weighs little."""


class Setting(NamedTuple):
    """One policy, and the actions that are stepped: [T, E, A]."""

    policy: TrainedPolicy
    actions: np.ndarray

    @property
    def episodes(self) -> int:
        return self.actions.shape[1]


def setting(backbone: str, episodes: int, steps: int) -> Setting:
    """An untrained policy without a memory, and random actions."""
    config = resolve("hopper-medium", arm="backbone", settings=[f'backbone="{backbone}"'])
    graphdef, params = nnx.split(new_policy(config, OBSERVATION_DIM, ACTION_DIM))
    shape = (steps, episodes, ACTION_DIM)
    actions = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    return Setting(TrainedPolicy(config, graphdef, params, None), actions)


def ours(of: Setting) -> Callable[[], object]:
    """A whole rollout."""
    config = of.policy.config
    nothing = np.zeros(of.episodes, np.float32)

    def act(window: Window, step: int) -> Answer:
        np.asarray(of.policy.answer(window, jax.random.key(0)).actions)
        return Answer(of.actions[step], nothing, nothing)

    return lambda: rollout(
        act,
        env_id=ENV_ID,
        seeds=range(of.episodes),
        max_steps=len(of.actions),
        context_len=config.train.context_len,
        target_return=config.env.target_return,
        return_scale=config.data.return_scale,
        normalizer=Normalizer(np.zeros(OBSERVATION_DIM), np.ones(OBSERVATION_DIM)),
        reporter=Reporter(-1),
        stop=StopRequest(),
    )


def network_alone(of: Setting) -> Callable[[], object]:
    """As many calls of the network as a rollout makes."""
    context = of.policy.config.train.context_len
    rng = np.random.default_rng(1)
    shape = (of.episodes, context)
    window = Window(
        rng.normal(size=(*shape, OBSERVATION_DIM)).astype(np.float32),
        rng.uniform(-1, 1, (*shape, ACTION_DIM)).astype(np.float32),
        np.ones(shape, np.float32),
        np.broadcast_to(np.arange(context, dtype=np.int32), shape),
        np.ones(shape, bool),
    )

    def answer() -> None:
        for _ in range(len(of.actions)):
            np.asarray(of.policy.answer(window, jax.random.key(0)).actions)

    return answer


def mujoco_alone(of: Setting) -> Callable[[], object]:
    """The steps of a rollout in environments that are there already, reset every time."""
    environments = make_environments(ENV_ID, of.episodes)

    def step() -> None:
        for seed, env in enumerate(environments):
            env.reset(seed=seed)
        for actions in of.actions:
            for env, action in zip(environments, actions, strict=True):
                env.step(action)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="of an episode, at most")
    parser.add_argument("--rounds", type=int, default=3)
    default = result_file.RESULTS / "bench-policy-evaluation.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    gymnasium.register(
        ENV_ID,
        "gymnasium.envs.mujoco.hopper_v5:HopperEnv",
        max_episode_steps=1000,
        kwargs={"terminate_when_unhealthy": False},
    )
    summary: dict[str, float] = {}
    measured = {}
    for backbone, longest in STEPS.items():
        length = min(longest, options.steps)
        for episodes in EPISODES:
            of = setting(backbone, episodes, length)
            work = {"ours": ours(of), "mujoco": mujoco_alone(of), "network": network_alone(of)}
            samples = in_turn(work, options.rounds)
            seconds, steps = medians(samples), length * episodes
            name = f"{backbone}_{episodes}_episodes"
            both = seconds["mujoco"] + seconds["network"]
            summary[f"{name}_vs_mujoco"] = seconds["mujoco"] / seconds["ours"]
            summary[f"{name}_vs_mujoco_and_network"] = both / seconds["ours"]
            summary[f"{name}_steps_per_second"] = steps / seconds["ours"]
            summary[f"{name}_mujoco_steps_per_second"] = steps / seconds["mujoco"]
            summary[f"{name}_network_milliseconds"] = seconds["network"] / length * 1e3
            measured[name] = samples
    result_file.write(
        options.out,
        benchmark="policy-evaluation",
        what=__doc__,
        summary=summary,
        packages=("jax", "gymnasium", "mujoco", "numpy"),
        most_steps_of_an_episode=options.steps,
        samples=measured,
    )


if __name__ == "__main__":
    main()
