"""Making a data set, from nothing to the saved file, beside MuJoCo alone on all cores.

Ours is `rrl data make`: the behavior policy in Hopper, checked, written and hashed. MuJoCo alone
resets the same environments with the same seeds and steps the actions that ours has taken, in as
many processes. The start of the processes is part of both.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import result_file
from mujoco_alone import Actions, replay
from turns import in_turn, medians

from retrieve_rl.processes import map_in_order, usable_cores
from retrieve_rl.progress import Reporter
from retrieve_rl.reframe.bundled import make_bundled
from retrieve_rl.reframe.collect import EPISODES_PER_UNIT
from retrieve_rl.reframe.episodes import Episodes
from retrieve_rl.reframe.recipes import Recipe, Stage, reset_seed
from retrieve_rl.signals import UNASKED


def recipe_of(steps: int) -> Recipe:
    """The data set hopper/medium, shorter, under a name of its own."""
    stage = Stage("medium", steps=steps)
    return Recipe("rrl/hopper/benchmark-v0", "hopper", "Hopper-v5", (stage,))


def mujoco_alone(recipe: Recipe, made: Episodes) -> Callable[[], object]:
    """Steps the episodes that were made, as many in a piece of work as ours has."""
    actions = np.split(made.actions, made.offsets[1:-1])
    seeds = [reset_seed(recipe, 0, number) for number in range(len(actions))]
    pieces = [
        Actions(
            recipe.env_id,
            seeds[start : start + EPISODES_PER_UNIT],
            actions[start : start + EPISODES_PER_UNIT],
        )
        for start in range(0, len(actions), EPISODES_PER_UNIT)
    ]
    return lambda: sum(map_in_order(replay, pieces, workers=usable_cores(), doing="stepping"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    default = result_file.RESULTS / "bench-data-making.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    recipe = recipe_of(options.steps)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        make = lambda: make_bundled(recipe, Reporter(-1), UNASKED, force=True)
        made = make()
        samples = in_turn({"ours": make, "mujoco": mujoco_alone(recipe, made)}, options.rounds)
    seconds = medians(samples)
    result_file.write(
        options.out,
        benchmark="data-making",
        what=__doc__,
        summary={
            "vs_mujoco": seconds["mujoco"] / seconds["ours"],
            "steps_per_second": made.num_steps / seconds["ours"],
            "mujoco_steps_per_second": made.num_steps / seconds["mujoco"],
        },
        packages=("gymnasium", "mujoco", "numpy", "minari"),
        steps=made.num_steps,
        samples=samples,
    )


if __name__ == "__main__":
    main()
