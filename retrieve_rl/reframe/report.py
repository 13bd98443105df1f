"""The result document of a Re:Frame run."""

from typing import Any, Literal, NamedTuple

from retrieve_rl.reframe.config import RESULTS_VERSION, ReframeConfig, config_hash
from retrieve_rl.reframe.data import TrainingData
from retrieve_rl.results import RunResult, machine


class Evaluation(NamedTuple):
    """What a result holds of an evaluation."""

    outcomes: list[dict[str, Any]]
    summary: dict[str, Any]
    retrieval: dict[str, Any] | None
    timings: dict[str, float]

    @property
    def status(self) -> Literal["ok", "partial"]:
        """Of the result: partial where an episode broke, whose return ends there."""
        return "partial" if "broken_episodes" in self.summary else "ok"


def make_result(
    command: str,
    config: ReframeConfig,
    data: TrainingData,
    evaluation: Evaluation | None,
    *,
    training: dict[str, Any],
    timings: dict[str, float],
    retrieval: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
) -> RunResult:
    """Puts the parts together; an evaluation brings its own summary and retrieval report."""
    return RunResult(
        command=command,
        status=evaluation.status if evaluation else "ok",
        task=config.task,
        arm=config.arm,
        preset=config.preset,
        seed=config.seed,
        results_version=RESULTS_VERSION,
        config_hash=config_hash(config),
        config=config.model_dump(mode="json"),
        inputs=data.inputs,
        training=training,
        retrieval=evaluation.retrieval if evaluation else retrieval,
        outcomes=evaluation.outcomes if evaluation else [],
        summary=evaluation.summary if evaluation else summary or {},
        timings={**timings, **(evaluation.timings if evaluation else {})},
        **machine(),
    )
