"""What a finished train-policy run left behind, opened together with what it was trained with."""

from pathlib import Path
from typing import NamedTuple

from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.go.agent import Agent, AgentConfig
from retrieve_rl.go.built import Built, open_built
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.data import GoData, open_data
from retrieve_rl.go.neighbor_inputs import retrieval_set
from retrieve_rl.go.neighbor_source import neighbor_source
from retrieve_rl.go.policy import TrainedPolicy, open_policy, policy_digest
from retrieve_rl.go.versions import open_version
from retrieve_rl.results import read_result

_SHOWN = 8


class Trained(NamedTuple):
    """A policy and its data.

    Attributes:
      built: None for a policy that hears of no neighbors.
    """

    policy: TrainedPolicy
    data: GoData
    built: Built | None


def open_trained(
    config: GoConfig, folder: Path, root: Path, version: Path | None = None
) -> Trained:
    """Opens the run in `folder`; makes nothing.

    Args:
      version: of the index the policy was trained with, to be asked in its place; see `versions`.

    Raises:
      DataError: an artifact is missing, damaged, or another than the run was trained with; or the
        version has not grown from that index.
      UsageError: a version is named for a policy that retrieves nothing.
    """
    if version is not None and not config.retrieves:
        raise UsageError(f"{folder} retrieves nothing: leave out --index")
    policy = open_policy(config, folder)
    built = open_built(config, root) if config.retrieves else None
    data = built.data if built else open_data(config, root)
    before = read_result(folder)
    if before.inputs != data.facts:
        raise DataError(f"{folder} was trained on other games than {root} holds now")
    if built and (before.retrieval or {}).get("sha256") != built.index.memory.manifest.digest:
        raise DataError(f"{folder} was trained with another index than {root} holds now")
    if built and version is not None:
        built = open_version(config, built, version)
        data = built.data
    return Trained(policy, data, built)


def agent_of(trained: Trained, folder: Path, config: AgentConfig) -> Agent:
    """The agent that plays as `config` says, its name made of all that decides how.

    Args:
      folder: of the train-policy run.
    """
    policy, data, built = trained
    source = None
    if built is not None:
        source = neighbor_source(policy.config, built.encoder, built.index, retrieval_set(data))
    search = config.search
    words = [
        f"rrl {policy.config.task}/{policy.config.arm}",
        policy_digest(policy.config, folder)[:_SHOWN],
        search.player,
        *([] if search.player == "prior" else [str(search.num_simulations)]),
    ]
    if source is not None and config.neighbors != "none":
        words.append(f"{config.num_neighbors} {config.neighbors} of {source.digest[:_SHOWN]}")
    return Agent(policy, source, config, name=" ".join(words))
