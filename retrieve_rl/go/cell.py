"""What a study reads of a Go config and of its result."""

from typing import Any

from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.sources import digest_of_records
from retrieve_rl.results import Measurements, RunResult

_DIGITS = 12
_MEASURES = {
    "top1": "hits",
    "cross_entropy": "cross_entropy",
    "value_error": "value_error",
}
"""Measure -> the column of `outcomes` whose sum over a game's positions it is the mean of."""


def identity(config: GoConfig) -> dict[str, Any]:
    """The config without folders; every source has its digest, the bundled games too."""
    facts = config.model_dump(mode="json")
    sources = [
        {**source, "sha256": source["sha256"] or digest_of_records(bundled_records().path)}
        for source in facts["data"]["sources"]
    ]
    data = {name: value for name, value in facts["data"].items() if name != "folder"}
    return {**facts, "data": {**data, "sources": sources}}


def digests(result: RunResult) -> dict[str, str]:
    """What the store of positions was made from -> its digest."""
    data = result.config["data"]
    asked = [*(source["file"] for source in data["sources"]), f"fraction {data['fraction']}"]
    drawn = [f"seed {result.seed}"] if data["fraction"] < 1 else []
    return {", ".join([*asked, *drawn]): result.inputs["store"]}


def measurements(result: RunResult) -> Measurements:
    """One a test game, named by the first digits of its digest; a game counts for its positions."""
    outcomes = result.outcomes
    names = [outcome["game"][:_DIGITS] for outcome in outcomes]
    values = {name: [outcome[column] for outcome in outcomes] for name, column in _MEASURES.items()}
    return Measurements(names, [outcome["positions"] for outcome in outcomes], values)


def conditions(result: RunResult) -> dict[str, dict[str, Any]]:
    """Errors under every condition of the neighbors, and what they gain over no neighbors."""
    told: dict[str, dict[str, Any]] = {}
    for name, table in ((result.retrieval or {}).get("conditions") or {}).items():
        told[name] = {measure: table["by_step"][0][measure] for measure in _MEASURES}
        gain = table.get("less_no_neighbors")
        if gain:
            told[name]["top1_less_no_neighbors"] = gain["top1"]
    return told
