"""The two papers as a study sees them."""

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrieve_rl.results import RunResult
    from retrieve_rl.runs import RunFn
    from retrieve_rl.study.paper import Paper


def paper_of_task(task: str) -> "Paper":
    """The paper of a task, by name or TOML file. Raises UsageError."""
    from retrieve_rl.config import paper_of

    return paper_named(paper_of(task))


def paper_named(name: str) -> "Paper":
    """ "reframe" or "go", as a config says."""
    return _go() if name == "go" else _reframe()


def training(paper: str) -> "RunFn":
    """What `rrl train-policy` calls."""
    if paper == "go":
        from retrieve_rl.go.train_policy import train_policy as train_go

        return train_go
    from retrieve_rl.reframe.train import train_policy as train_reframe

    return train_reframe


def evaluation(paper: str) -> "Callable[..., RunResult]":
    """What `rrl evaluate` calls, with `trained=FOLDER`."""
    if paper == "go":
        from retrieve_rl.go.evaluate_policy import evaluate as evaluate_go

        return evaluate_go
    from retrieve_rl.reframe.evaluate import evaluate as evaluate_reframe

    return evaluate_reframe


def _judge_go() -> "Callable[..., RunResult]":
    from retrieve_rl.go.judge_cell import judge_cell

    return judge_cell


def _reframe() -> "Paper":
    from retrieve_rl.reframe import cell
    from retrieve_rl.reframe.config import RESULTS_VERSION, config_hash, resolve
    from retrieve_rl.reframe.data import changed_since
    from retrieve_rl.study.paper import Paper

    return Paper(
        name="reframe",
        results_version=RESULTS_VERSION,
        resolve=resolve,
        config_hash=config_hash,
        judgment_hash=config_hash,
        steps=attrgetter("train.steps"),
        identity=cell.identity,
        training=partial(training, "reframe"),
        # Training ends with the very evaluation that `rrl evaluate` does.
        evaluation=None,
        measurements=cell.measurements,
        conditions=cell.conditions,
        digests=cell.digests,
        judged_on=cell.judged_on,
        changed_since=changed_since,
    )


def _go() -> "Paper":
    from retrieve_rl.go import cell
    from retrieve_rl.go.config import RESULTS_VERSION, config_hash, judgment_hash, resolve
    from retrieve_rl.study.paper import Paper

    return Paper(
        name="go",
        results_version=RESULTS_VERSION,
        resolve=resolve,
        config_hash=config_hash,
        judgment_hash=judgment_hash,
        steps=attrgetter("train.steps"),
        identity=cell.identity,
        training=partial(training, "go"),
        evaluation=_judge_go,
        measurements=cell.measurements,
        conditions=cell.conditions,
        digests=cell.digests,
        judged_on=cell.judged_on,
        condition_totals=cell.condition_totals,
    )
