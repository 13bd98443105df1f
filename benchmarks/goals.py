"""What every benchmark is measured for: against what, how good it should be, and whether it is."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from command_memory import COMMANDS


class Goal(NamedTuple):
    """One number of one result.

    Attributes:
      result: the file's name without its ending.
      measure: the number's name in the file's summary.
      at_least, at_most: what it should be; neither where it is only to be known.
    """

    result: str
    measure: str
    at_least: float | None = None
    at_most: float | None = None


class Row(NamedTuple):
    """A comparison and its goals."""

    what: str
    against: str
    goals: tuple[Goal, ...]


_EVALUATION, _MEMORY = "bench-policy-evaluation", "bench-command-memory"

ROWS = (
    Row(
        "Decision Transformer train step (batch 64, context 20, width 128, 3 layers)",
        "plain PyTorch of the same shapes; arithmetic over the rate of the fastest matrix product",
        (
            Goal("bench-train-step", "vs_pytorch", at_least=2.5),
            Goal("bench-train-step", "vs_pytorch_without_dropout", at_least=2.5),
            Goal("bench-train-step", "share_of_limit", at_least=0.6),
            Goal("bench-train-step", "dropout_cost", at_most=0.1),
        ),
    ),
    Row(
        "the same with a memory of 60,000 latents",
        "the same batches without a memory",
        (
            Goal("bench-train-step-with-memory", "frozen_vs_without", at_most=1.05),
            Goal("bench-train-step-with-memory", "learned_vs_without", at_most=2.0),
        ),
    ),
    Row(
        "policy evaluation, 20 and 100 episodes at once",
        "MuJoCo alone; for a transformer, MuJoCo's and the network's time together",
        (
            Goal(_EVALUATION, "mlp_20_episodes_vs_mujoco", at_least=0.6),
            Goal(_EVALUATION, "mlp_100_episodes_vs_mujoco", at_least=0.6),
            Goal(_EVALUATION, "dt_20_episodes_vs_mujoco_and_network", at_least=0.6),
            Goal(_EVALUATION, "dt_100_episodes_vs_mujoco_and_network", at_least=0.6),
        ),
    ),
    Row(
        "data making",
        "MuJoCo alone, all cores",
        (Goal("bench-data-making", "vs_mujoco", at_least=0.7),),
    ),
    Row(
        "exact retrieval inside jit, 60,000 x 64, batch 64 to 4,096",
        "faiss.IndexFlatL2; arithmetic over the rate of the fastest matrix product",
        tuple(
            goal
            for batch in (64, 256, 1024, 4096)
            for goal in (
                Goal("exact-search", f"vs_faiss_batch_{batch}", at_least=1.0),
                Goal("exact-search", f"share_of_limit_batch_{batch}", at_least=0.3),
            )
        ),
    ),
    Row(
        "our index at recall 0.95, 1M and 5M keys; synthetic ones, and of Go positions",
        "the searcher inside it; bare ScaNN as its builder sets it up; FAISS at no more memory",
        tuple(
            goal
            for result in ("index-tradeoff", "index-tradeoff-of-keys")
            for size in ("1m", "5m")
            for goal in (
                Goal(result, f"{size}_wrapping_ratio", at_most=1.05),
                Goal(result, f"{size}_vs_scann", at_least=0.95),
                Goal(result, f"{size}_vs_scann_with_our_kernels", at_least=0.95),
                Goal(result, f"{size}_vs_fastest_lean_faiss", at_least=2.0),
                Goal(result, f"{size}_vs_faiss_hnsw"),
            )
        ),
    ),
    Row(
        "fifty million keys on one machine",
        "what is wanted: twelve minutes, twelve GiB",
        (
            Goal("index-50m", "recall_at_10", at_least=0.95),
            Goal("index-50m", "queries_per_second", at_least=1500),
            Goal("index-50m", "build_seconds", at_most=720),
            Goal("index-50m", "peak_anon_gib", at_most=12),
        ),
    ),
    Row(
        "Go training steps: encoder; policy with ten neighbors",
        "arithmetic over the rate of the fastest matrix product; the input pipeline alone",
        tuple(
            goal
            for network in ("encoder", "policy")
            for goal in (
                Goal("bench-go-steps", f"{network}_share_of_limit", at_least=0.4),
                Goal("bench-go-steps", f"{network}_share_of_input_pipeline", at_most=0.05),
            )
        ),
    ),
    Row(
        "Go search, 32 games at once, 200 simulations",
        "the network's own forward rate at that batch",
        (
            Goal("bench-go-search", "share_of_network_rate", at_least=0.7),
            Goal("bench-go-search", "simulations_per_second"),
        ),
    ),
    Row(
        "reading SGF to packed positions",
        "sgfmill reading and replaying the same files, one core",
        (
            Goal("bench-sgf-reading", "vs_sgfmill", at_least=3.0),
            Goal("bench-sgf-reading", "seconds_for_11_million", at_most=180.0),
        ),
    ),
    Row(
        "rrl --help; the second start of train-policy",
        "a bare Typer program; the first start",
        (
            Goal("bench-start-up", "help_vs_bare", at_most=2.0),
            Goal("bench-start-up", "first_vs_second_start", at_least=3.0),
        ),
    ),
    Row(
        "peak memory of every command, MiB",
        "the data it must hold",
        tuple(
            goal
            for command in COMMANDS
            for goal in (
                Goal(_MEMORY, f"{command}_peak_mib"),
                Goal(_MEMORY, f"{command}_data_mib"),
            )
        ),
    ),
    Row(
        "how cost grows: exponents over the largest sizes",
        "in proportion to the size; a context also by its attention",
        (
            Goal("bench-training-growth", "exponent_of_context", at_most=1.25),
            Goal("bench-training-growth", "exponent_of_latents", at_most=1.1),
            Goal("bench-index-growth", "exponent_of_build", at_most=1.1),
            Goal("bench-index-growth", "exponent_of_query", at_most=1.0),
            Goal("bench-search-growth", "exponent_of_simulations", at_most=1.1),
            Goal("bench-search-growth", "exponent_of_games", at_most=1.1),
        ),
    ),
    Row(
        "engines that fail in a match",
        "how each game should have ended",
        (
            Goal("gtp-faults", "wrong", at_most=0),
            Goal("gtp-faults", "zombies", at_most=0),
        ),
    ),
)


def names() -> list[str]:
    """Of all results that some goal speaks of."""
    return sorted({goal.result for row in ROWS for goal in row.goals})


def summaries(results: Path) -> dict[str, dict[str, Any]]:
    """The whole summary of every result that some goal speaks of and that is there."""
    found = {name: _summary(name, results) for name in names()}
    return {name: summary for name, summary in found.items() if summary}


def origins(results: Path) -> dict[str, dict[str, str | None]]:
    """The commit and the day of each of them; None where its file is older than that."""
    return {
        name: {fact: _document(name, results).get(fact) for fact in ("commit", "day")}
        for name in summaries(results)
    }


def judge(row: Row, results: Path) -> dict[str, Any]:
    """The row as a document; `measured` and `met` are None where nothing was measured."""
    return {
        "what": row.what,
        "against": row.against,
        "goals": [_judge(goal, results) for goal in row.goals],
    }


def _document(result: str, results: Path) -> dict[str, Any]:
    path = results / f"{result}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _summary(result: str, results: Path) -> dict[str, Any]:
    return _document(result, results).get("summary", {})


def _judge(goal: Goal, results: Path) -> dict[str, Any]:
    measured = _summary(goal.result, results).get(goal.measure)
    document = {"result": f"{goal.result}.json", "measure": goal.measure, "measured": measured}
    if goal.at_least is not None:
        met = None if measured is None else measured >= goal.at_least
        return {**document, "goal": f"at least {goal.at_least:g}", "met": met}
    if goal.at_most is not None:
        met = None if measured is None else measured <= goal.at_most
        return {**document, "goal": f"at most {goal.at_most:g}", "met": met}
    return {**document, "goal": "known", "met": None if measured is None else True}
