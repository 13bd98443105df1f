"""What a study reads of a Go config and of its result."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrieve_rl.config import settings_of
from retrieve_rl.go.bundled import bundled_records
from retrieve_rl.go.config import GoConfig, settings_that_count
from retrieve_rl.go.endings import Label
from retrieve_rl.go.match_games import PlayedGame, played_games_of
from retrieve_rl.go.play_config import PlayConfig
from retrieve_rl.go.policy_config import HeldOutConfig
from retrieve_rl.go.sources import digest_of_records
from retrieve_rl.results import Measurements, RunResult

_DIGITS = 12
_OF_MATCH = ("opponent", "openings", "first_seed", "komi", "move_seconds")
_MEASURES = {
    "top1": "hits",
    "cross_entropy": "cross_entropy",
    "value_error": "value_error",
}
"""Measure -> the column of `outcomes` whose sum over a game's positions it is the mean of."""


def identity(config: GoConfig) -> dict[str, Any]:
    """The settings without folders, and without a match where none is played; every source has its
    digest, the bundled games too."""
    settings = settings_that_count(config, () if config.plays else ("play",))
    sources = [
        {
            **settings_of(source),
            "sha256": source.sha256 or digest_of_records(bundled_records().path),
        }
        for source in config.data.sources
    ]
    data = {name: value for name, value in settings.get("data", {}).items() if name != "folder"}
    return {**settings, "data": {**data, "sources": sources}}


def digests(result: RunResult) -> dict[str, str]:
    """What the store of positions was made from -> its digest."""
    config = result.config
    trained = config.get("trained", config)
    data = trained["data"]
    asked = [*(source["file"] for source in data["sources"]), f"fraction {data['fraction']}"]
    drawn = [f"seed {trained['index']['seed']}"] if data["fraction"] < 1 else []
    return {", ".join([*asked, *drawn]): result.inputs["store"]}


def judged_on(settings: Mapping[str, Any], seed: int, measure: str) -> dict[str, Any]:
    """What both sides of a match were given; else the draw of the held-out positions, without which
    two outcomes of one game are of other positions."""
    if measure == "score":
        played = {**PlayConfig().model_dump(mode="json"), **settings.get("play", {})}
        match = settings if "opponent" in settings else played
        return {name: match[name] for name in _OF_MATCH if name in match}
    held_out = settings.get("trained", settings).get("held_out", {})
    positions = held_out.get("positions", HeldOutConfig().positions)
    return {"seed of the held-out positions": seed, "held_out.positions": positions}


def measurements(result: RunResult) -> Measurements:
    """One a test game, named by the first digits of its digest; a game counts for its positions.

    Of a match one an opening, named by its number: all games from it. Void games do not count; the
    name tells them, so that two matches are paired only where the same games count.
    """
    outcomes = result.outcomes
    if result.summary["measure"] == "score":
        return _by_opening(played_games_of(outcomes))
    names = [outcome["game"][:_DIGITS] for outcome in outcomes]
    values = {name: [outcome[column] for outcome in outcomes] for name, column in _MEASURES.items()}
    return Measurements(names, [outcome["positions"] for outcome in outcomes], values)


def conditions(result: RunResult) -> dict[str, dict[str, Any]]:
    """Errors under every condition of the neighbors, and what they gain over no neighbors.

    Of a match how its games went, what it cost, and how far from the memory it led.
    """
    if result.summary["measure"] == "score":
        return _of_match(result)
    told: dict[str, dict[str, Any]] = {}
    retrieval = result.retrieval or {}
    for name, table in (retrieval.get("conditions") or {}).items():
        told[name] = {measure: table["by_step"][0][measure] for measure in _MEASURES}
        gain = table.get("less_no_neighbors")
        if gain:
            told[name]["top1_less_no_neighbors"] = gain["top1"]
    if "recall_at_10" in retrieval:
        told["index"] = {"recall_at_10": _only(retrieval["recall_at_10"])}
    return told


def condition_totals(result: RunResult) -> dict[str, list[float]]:
    """Hits in each test game under every condition; nothing of a match."""
    if result.summary["measure"] == "score":
        return {}
    tables = (result.retrieval or {}).get("conditions") or {}
    return {name: list(map(float, table["hits_by_game"])) for name, table in tables.items()}


def _by_opening(played: Sequence[PlayedGame]) -> Measurements:
    scores: dict[int, list[float]] = {}
    void: dict[int, list[int]] = {}
    for game in played:
        opening = game.game.opening_number
        if game.score is None:
            void.setdefault(opening, []).append(game.game.number)
        else:
            scores.setdefault(opening, []).append(game.score)
    names = [
        f"{opening} without games {void[opening]}" if opening in void else opening
        for opening in scores
    ]
    counts = [len(games) for games in scores.values()]
    return Measurements(names, counts, {"score": [sum(games) for games in scores.values()]})


def _of_match(result: RunResult) -> dict[str, dict[str, Any]]:
    timings, retrieval = result.timings, result.retrieval or {}
    costs = ("move_seconds", "simulations_per_second", "network_share", "retrieval_share")
    summary = result.summary
    faults = summary["faults"]
    told = {
        "games": {
            "distinct": summary["distinct_games"],
            "mean_plies": summary["mean_plies"],
            "score_as_black": summary["by_color"]["black"],
            "score_as_white": summary["by_color"]["white"],
        },
        "endings": {label.value: summary["labels"].get(label.value, 0) for label in Label},
        "cost of a move": {name: timings[name] for name in costs if name in timings},
        "failures": {
            "void": summary["void"],
            **{side: sum(faults[side].values()) for side in ("player", "opponent")},
        },
    }
    nearest = retrieval.get("distances_of_played", {}).get("nearest", {})
    if "q50" in nearest:
        told["played positions"] = {"median_distance": nearest["q50"]}
    if "growth" in retrieval:
        growth = retrieval["growth"]
        told["played positions"] = {
            **told["played positions"],
            **{
                f"median_distance_{name}": growth["played"][name]["q50"]
                for name in ("to_old", "to_grown")
            },
            "found_among_added": growth["played"]["found_among_added"]["all"],
        }
        told["test positions"] = {
            f"median_distance_{name}": growth["distances"][f"test_{name}"]["q50"]
            for name in ("to_old", "to_grown")
        }
    return {
        condition: {name: _only(value) for name, value in of.items()}
        for condition, of in told.items()
        if of
    }


def _only(value: float | None) -> dict[str, float | None]:
    """A number without an interval."""
    return {"mean": value, "low": None, "high": None}
