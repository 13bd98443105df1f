"""A training step of Re:Frame with a memory of 60,000 latents beside the same without a memory.

All three train on the same batches: 64 windows of 20 expert steps. With a frozen query the
neighbors were computed before training; a learned query searches the memory in every step, for each
of the 1,280 steps of the batch.
"""

import argparse
from pathlib import Path

import result_file
from stage_2 import STEPS_IN_SCAN, training
from turns import in_turn, medians

from retrieve_rl.reframe.config import resolve

SETTINGS: dict[str, tuple[str, list[str]]] = {
    "without": ("backbone-experts", []),
    "frozen": ("reframe", []),
    "learned": ("reframe", ['retrieval.query="learned"']),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=7)
    default = result_file.RESULTS / "bench-train-step-with-memory.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    work = {
        name: training(resolve("hopper-medium", arm=arm, settings=settings), options.latents)
        for name, (arm, settings) in SETTINGS.items()
    }
    samples = in_turn(work, options.rounds)
    seconds = medians(samples)
    result_file.write(
        options.out,
        benchmark="train-step-with-memory",
        what=__doc__,
        summary={
            "frozen_vs_without": seconds["frozen"] / seconds["without"],
            "learned_vs_without": seconds["learned"] / seconds["without"],
            **{
                f"{name}_milliseconds": value / STEPS_IN_SCAN * 1e3
                for name, value in seconds.items()
            },
        },
        packages=("jax", "flax", "optax"),
        latents=options.latents,
        steps_per_sample=STEPS_IN_SCAN,
        samples=samples,
    )


if __name__ == "__main__":
    main()
