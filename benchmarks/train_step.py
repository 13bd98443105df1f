"""One training step of our Decision Transformer beside a plain PyTorch one of the same shapes.

Two worker processes take turns on the same cores: one is this file in the project's environment,
the other `torch_decision_transformer.py` in an environment with PyTorch. Each draws batches of 64
windows from a table of steps, and runs forward, backward, clipping and AdamW. PyTorch computes
every token of every layer, as its users write it; ours gets the same outputs with less.

The machine's limit is the arithmetic of our step over the rate of the fastest of three matrix
products, measured between the turns.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import result_file
from product_rate import product_rate, refuse_busy
from stage_2 import STEPS_IN_SCAN, training
from turns import fastest
from worker import REPOSITORY, Worker

from retrieve_rl import artifacts
from retrieve_rl.reframe.config import resolve

DROPOUT = 0.1
ATTENTIONS = {"explicit": False, "scaled_dot_product_attention": True}
"""Of PyTorch -> whether it is the fused one."""


def our_training(dropout: float) -> tuple[Callable[[], None], float]:
    """A function that takes STEPS_IN_SCAN steps, and the operations of one."""
    config = resolve("hopper-medium", arm="backbone", settings=[f"transformer.dropout={dropout}"])
    return training(config, num_latents=0), operations(
        batch=config.train.batch_size,
        steps=config.train.context_len,
        width=config.transformer.width,
        num_layers=config.transformer.num_layers,
    )


def operations(*, batch: int, steps: int, width: int, num_layers: int) -> float:
    """Floating-point operations of the matrix products of our training step.

    Three tokens a step; the last layer has queries, output and feed-forward for one of the three
    only. Backward does each product of the forward pass twice: three times the forward pass in all.
    Embeddings, norms, softmax, dropout and the optimizer are not counted.
    """
    length = 3 * steps

    def layer(read: int) -> int:
        keys_and_values = length * 2 * width * width
        query_and_out = read * 2 * width * width
        scores_and_mix = 2 * read * length * width
        feed_forward = read * 2 * 4 * width * width
        return 2 * batch * (keys_and_values + query_and_out + scores_and_mix + feed_forward)

    return 3.0 * ((num_layers - 1) * layer(length) + layer(steps))


def work() -> None:
    """Answers each request on stdin with one line of JSON, as the PyTorch worker does."""
    import jax

    trainings: dict[float, tuple[Callable[[], None], float]] = {}
    measure_rate = product_rate()
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("product"):
            answer: dict[str, Any] = {"rate": measure_rate()}
        else:
            dropout = request["dropout"]
            if dropout not in trainings:
                trainings[dropout] = our_training(dropout)
            run, count = trainings[dropout]
            began = time.perf_counter()
            run()
            seconds = time.perf_counter() - began
            answer = {
                "milliseconds": seconds / STEPS_IN_SCAN * 1e3,
                "operations": count,
                "versions": {"jax": jax.__version__},
            }
        print(json.dumps(answer), flush=True)


def measure(torch_python: str, rounds: int) -> dict[str, Any]:
    """Warms both up, picks PyTorch's faster attention, then lets them take turns."""
    ours = Worker(sys.executable, __file__, "--worker")
    torch = Worker(torch_python, str(REPOSITORY / "benchmarks/torch_decision_transformer.py"))
    rates = (DROPOUT, 0.0)
    for dropout in rates:
        operations_of_step = ours.ask(dropout=dropout)["operations"]
        ours.ask(dropout=dropout)
    attention = {dropout: _faster_attention(torch, dropout) for dropout in rates}

    samples: dict[str, list[float]] = {}
    for number in range(rounds):
        for dropout in rates:
            suffix = "" if dropout else "_without_dropout"
            fused = ATTENTIONS[attention[dropout]]
            theirs = torch.ask(dropout=dropout, fused_attention=fused, steps=STEPS_IN_SCAN)
            samples.setdefault(f"pytorch{suffix}", []).append(theirs["milliseconds"])
            answer = ours.ask(dropout=dropout)
            samples.setdefault(f"ours{suffix}", []).append(answer["milliseconds"])
        samples.setdefault("product_rate", []).append(ours.ask(product=True)["rate"])
        print(f"round {number + 1} of {rounds}: {_line(samples)}", file=sys.stderr)
    ours.close()
    torch.close()
    return {
        "samples": samples,
        "operations": operations_of_step,
        "pytorch_attention": {
            f"dropout {dropout}": chosen for dropout, chosen in attention.items()
        },
        "pytorch_threads": theirs["threads"],
        "versions": {
            "python": platform.python_version(),
            **answer["versions"],
            **theirs["versions"],
        },
    }


def _faster_attention(torch: Worker, dropout: float) -> str:
    def milliseconds(fused: bool) -> float:
        answer = torch.ask(dropout=dropout, fused_attention=fused, steps=STEPS_IN_SCAN // 2)
        return answer["milliseconds"]

    return fastest({name: partial(milliseconds, fused) for name, fused in ATTENTIONS.items()})


def _line(samples: dict[str, list[float]]) -> str:
    return ", ".join(
        f"{name} {values[-1]:.1f} ms"
        if name != "product_rate"
        else f"{values[-1] / 1e9:.0f} GFLOP/s"
        for name, values in samples.items()
    )


def summarize(measured: dict[str, Any]) -> dict[str, Any]:
    """The document to write: `summary` holds what the goals speak of."""
    medians = {name: statistics.median(values) for name, values in measured["samples"].items()}
    limit = measured["operations"] / medians.pop("product_rate") * 1e3
    summary = {
        "vs_pytorch": medians["pytorch"] / medians["ours"],
        "vs_pytorch_without_dropout": medians["pytorch_without_dropout"]
        / medians["ours_without_dropout"],
        "share_of_limit": limit / medians["ours_without_dropout"],
        "share_of_limit_with_dropout": limit / medians["ours"],
        "dropout_cost": medians["ours"] / medians["ours_without_dropout"] - 1.0,
        "limit_milliseconds": limit,
        **{f"{name}_milliseconds": value for name, value in medians.items()},
    }
    return {
        "benchmark": "train-step",
        "what": "forward, backward, clipping and AdamW of a Decision Transformer: batch 64,"
        " context 20, width 128, 3 layers, 1 head, dropout 0.1",
        "summary": {name: _rounded(value) for name, value in summary.items()},
        **result_file.origin(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "steps_per_sample": STEPS_IN_SCAN,
        **measured,
    }


def _rounded(value: float) -> float:
    return round(value, 3 - math.floor(math.log10(abs(value)))) if value else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--torch-python", default=".venv-bench/bin/python", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--out",
        type=Path,
        default=REPOSITORY / "experiments/results/bench-train-step.json",
        metavar="FILE",
    )
    options = parser.parse_args()
    if options.worker:
        return work()
    document = summarize(measure(options.torch_python, options.rounds))
    for name, value in document["summary"].items():
        print(f"{name:40} {value}")
    # PyTorch suffers most from a busy core: its threads wait for each other by spinning.
    refuse_busy(document["samples"]["product_rate"])
    artifacts.write_file(options.out, artifacts.to_json(document))
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
