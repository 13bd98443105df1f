"""How far a policy is off on some positions: after every unrolled move, and by ply."""

from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

from retrieve_rl.go.agreement import plies_in_buckets
from retrieve_rl.go.asking import TurnedNeighbors
from retrieve_rl.go.losses import Batch
from retrieve_rl.go.model import represent
from retrieve_rl.go.neighbor_inputs import RetrievalSet, neighbor_inputs
from retrieve_rl.go.planes import observation_planes
from retrieve_rl.go.policy import TrainedPolicy
from retrieve_rl.go.policy_losses import PolicyBatch
from retrieve_rl.go.unroll import UnrollErrors, unroll, unroll_errors, unroll_targets
from retrieve_rl.statistics import GroupResamples
from retrieve_rl.training.state import Params
from retrieve_rl.types import Array

Table = TypeVar("Table")

_POSITIONS_AT_ONCE = 256


class Judged(NamedTuple):
    """Errors on M positions and where they count, on the host.

    Attributes:
      errors: [M, K+1] each.
      has_move: where the policy's errors count.
      reached: where the value's count.
    """

    errors: UnrollErrors
    has_move: Bool[np.ndarray, "M K+1"]
    reached: Bool[np.ndarray, "M K+1"]


def judge_policy(
    policy: TrainedPolicy, known: RetrievalSet, asking: Batch, neighbors: TurnedNeighbors
) -> Judged:
    """The policy's errors on host positions as they were played, chunk after chunk.

    Args:
      known: on the device.
      neighbors: rows of `known`.
    """
    batch = PolicyBatch(asking, neighbors)
    count = len(asking.komi)
    told = []
    for start in range(0, count, _POSITIONS_AT_ONCE):
        chosen = np.arange(start, min(start + _POSITIONS_AT_ONCE, count))
        # One shape, one compilation: the last chunk repeats its last row.
        rows = np.pad(chosen, (0, _POSITIONS_AT_ONCE - len(chosen)), mode="edge")
        part = _rows_of(batch, rows)
        judged = _judge(
            policy.graphdef,
            policy.config.model.unroll_steps,
            policy.params,
            known,
            policy.distance_scale,
            part,
        )
        told.append(_rows_of(jax.tree.map(np.asarray, judged), np.arange(len(chosen))))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *told)


def by_step(judged: Judged, resamples: GroupResamples) -> list[dict[str, Any]]:
    """Means and intervals after k = 0..K moves."""
    return [
        {"step": step, **_means(judged, step, resamples, np.ones(len(judged.reached), bool))}
        for step in range(judged.reached.shape[1])
    ]


def by_ply(
    judged: Judged, plies: Int[np.ndarray, " M"], resamples: GroupResamples
) -> dict[str, dict[str, Any]]:
    """Means and intervals of the positions themselves, for every part of a game."""
    return {
        name: _means(judged, 0, resamples, inside)
        for name, inside in plies_in_buckets(plies).items()
    }


def differences(judged: Judged, other: Judged, resamples: GroupResamples) -> dict[str, Any]:
    """What a policy gains or loses on the same positions: its means less those of `other`."""
    difference = UnrollErrors(
        *(
            mine.astype(np.float64) - theirs
            for mine, theirs in zip(judged.errors, other.errors, strict=True)
        )
    )
    paired = judged._replace(errors=difference)
    return _means(paired, 0, resamples, np.ones(len(judged.reached), bool))


def _rows_of(table: Table, rows: Int[np.ndarray, " B"]) -> Table:
    return jax.tree.map(lambda column: column[rows], table)


def _means(
    judged: Judged, step: int, resamples: GroupResamples, inside: Bool[np.ndarray, " M"]
) -> dict[str, Any]:
    moves, reached = judged.has_move[:, step] & inside, judged.reached[:, step] & inside

    def mean(values: Float[np.ndarray, "M K+1"], counted: np.ndarray) -> dict[str, float | None]:
        return resamples.mean(values[:, step].astype(np.float64), counted)

    return {
        "positions": int(reached.sum()),
        "moves": int(moves.sum()),
        "top1": mean(judged.errors.hit, moves),
        "cross_entropy": mean(judged.errors.cross_entropy, moves),
        "value_error": mean(judged.errors.value_error, reached),
    }


@partial(jax.jit, static_argnames=("graphdef", "unroll_steps"))
def _judge(
    graphdef: nnx.GraphDef,
    unroll_steps: int,
    params: Params,
    known: RetrievalSet,
    distance_scale: Float[Array, ""] | float,
    batch: PolicyBatch,
) -> Judged:
    as_played = jnp.zeros(batch.asking.komi.shape, int)
    observation = observation_planes(batch.asking.positions, batch.asking.komi, as_played)
    neighbors = neighbor_inputs(known, batch.neighbors, as_played, distance_scale)
    embedding = represent(graphdef, params, observation, neighbors)
    targets = unroll_targets(batch.asking, as_played, unroll_steps)
    said = unroll(graphdef, params, embedding, targets.moves[:, :-1])
    return Judged(unroll_errors(said, targets), targets.has_move, targets.reached)
