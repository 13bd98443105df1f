"""From a study's cells to named numbers and a figure."""

from pathlib import Path
from typing import Any

import numpy as np

from retrieve_rl.statistics import bootstrap_interval
from retrieve_rl.study.design import StudyDesign

Summary = dict[str, Any]


def summarize(records: list[dict[str, Any]]) -> Summary:
    """task -> arm -> varied values -> mean, low, high over seeds and episodes.

    Without a grid the level of the varied values is left out. `episodes` counts them all; the
    interval resamples seeds, then episodes.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for record in records:
        if record["status"] == "ok":
            varied = " ".join(f"{key}={value}" for key, value in record["settings"].items())
            groups.setdefault((record["task"], record["arm"], varied), []).append(record)
    summary: Summary = {}
    for (task, arm, varied), group in groups.items():
        arms = summary.setdefault(task, {})
        if varied:
            arms.setdefault(arm, {})[varied] = _numbers(group)
        else:
            arms[arm] = _numbers(group)
    return summary


def _numbers(group: list[dict[str, Any]]) -> dict[str, Any]:
    measure = group[0]["summary"]["measure"]
    values = [np.array([outcome[measure] for outcome in record["outcomes"]]) for record in group]
    low, high = bootstrap_interval(values)
    training = group[0]["training"]
    return {
        "mean": float(np.mean([value.mean() for value in values])),
        "low": low,
        "high": high,
        "episodes": sum(value.size for value in values),
        "seeds": len(group),
        "measure": measure,
        "steps": training["steps"],
        "parameters": training["parameters"],
        "train_seconds": float(np.mean([record["timings"]["train_seconds"] for record in group])),
    }


def draw(summary: Summary, design: StudyDesign, path: Path) -> None:
    """Bars per arm, or, where one numeric key varies, lines over it; one panel a task."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tasks = list(summary) or list(design.tasks)
    figure, axes = plt.subplots(
        1,
        len(tasks),
        figsize=(1.5 + 2.8 * len(tasks), 3.4),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for axis, task in zip(axes[0], tasks, strict=True):
        arms = summary.get(task, {})
        if len(design.grid) == 1:
            _draw_lines(axis, arms, design)
        elif not design.grid:
            _draw_bars(axis, arms)
        else:
            _draw_bars(
                axis,
                {
                    f"{arm} {varied}": numbers
                    for arm, grid in arms.items()
                    for varied, numbers in grid.items()
                },
            )
        axis.set_title(task)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel(_measure(summary))
    seeds = "1 seed" if len(design.seeds) == 1 else f"{len(design.seeds)} seeds"
    figure.suptitle(f"{design.title} ({design.preset}, {seeds}, 95% intervals)")
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def _draw_bars(axis: Any, arms: dict[str, dict[str, Any]]) -> None:
    for position, numbers in enumerate(arms.values()):
        axis.bar(position, numbers["mean"], color=f"C{position}", alpha=0.8)
        axis.errorbar(position, numbers["mean"], _whiskers([numbers]), color="black", capsize=4)
    axis.set_xticks(range(len(arms)), list(arms), rotation=20, ha="right")


def _draw_lines(axis: Any, arms: dict[str, dict[str, Any]], design: StudyDesign) -> None:
    ((key, values),) = design.grid.items()
    for arm, grid in arms.items():
        present = [value for value in values if f"{key}={value}" in grid]
        numbers = [grid[f"{key}={value}"] for value in present]
        means = [number["mean"] for number in numbers]
        axis.errorbar(present, means, _whiskers(numbers), marker="o", capsize=3, label=arm)
    if all(isinstance(value, int | float) and value > 0 for value in values):
        axis.set_xscale("log")
        axis.set_xticks(values, [str(value) for value in values])
        axis.minorticks_off()
    axis.set_xlabel(key)
    if arms:
        axis.legend(frameon=False)


def _whiskers(numbers: list[dict[str, Any]]) -> np.ndarray:
    below = [max(number["mean"] - number["low"], 0.0) for number in numbers]
    above = [max(number["high"] - number["mean"], 0.0) for number in numbers]
    return np.array([below, above])


def _measure(summary: Summary) -> str:
    text = str(summary)
    return "normalized score" if "normalized_score_100" in text else "return"
