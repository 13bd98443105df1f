"""How a training step grows: with the context, and with the memory that a learned query searches.

Steps are those of Re:Frame's second stage at its default sizes. The context is varied without a
memory; the memory is varied at a context of 20 steps, 1,280 queries a step. The sizes take turns.
"""

import argparse
from pathlib import Path

import result_file
from growth import Panel, draw, slopes
from stage_2 import STEPS_IN_SCAN, training
from turns import in_turn, medians

from retrieve_rl.reframe.config import resolve

CONTEXTS = (5, 10, 20, 40, 80)
LATENTS = (1_000, 10_000, 100_000, 1_000_000)


def milliseconds_by_context(contexts: list[int], rounds: int) -> dict[int, float]:
    """Of one step."""
    work = {
        str(context): training(
            resolve(
                "hopper-medium", arm="backbone-experts", settings=[f"train.context_len={context}"]
            ),
            1000,
        )
        for context in contexts
    }
    return _milliseconds(in_turn(work, rounds))


def milliseconds_by_latents(latents: list[int], rounds: int) -> dict[int, float]:
    """Of one step."""
    config = resolve("hopper-medium", settings=['retrieval.query="learned"'])
    return _milliseconds(in_turn({str(n): training(config, n) for n in latents}, rounds))


def _milliseconds(samples: dict[str, list[float]]) -> dict[int, float]:
    return {int(size): seconds / STEPS_IN_SCAN * 1e3 for size, seconds in medians(samples).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contexts", type=int, nargs="+", default=CONTEXTS)
    parser.add_argument("--latents", type=int, nargs="+", default=LATENTS)
    parser.add_argument("--rounds", type=int, default=5)
    default = result_file.RESULTS / "bench-training-growth.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    by_context = milliseconds_by_context(options.contexts, options.rounds)
    by_latents = milliseconds_by_latents(options.latents, options.rounds)
    result_file.write(
        options.out,
        benchmark="training-growth",
        what=__doc__,
        summary=slopes(context=by_context, latents=by_latents),
        packages=("jax", "flax", "optax"),
        milliseconds_by_context=by_context,
        milliseconds_by_latents=by_latents,
    )
    panels = (
        Panel("steps of context", "milliseconds a step", {"no memory": by_context}),
        Panel("latents in the memory", "milliseconds a step", {"learned query": by_latents}),
    )
    draw(panels, "A training step of Re:Frame", options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
