"""Does the memory pull the policy towards the expert? Measured away from the environment.

Over the states of expert episodes that are not in the memory: the mean distance from the policy's
action to the expert's, with the memory, with it empty, and with random neighbors.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from retrieve_rl.reframe.policy import MemoryUse, TrainedPolicy
from retrieve_rl.reframe.windows import StepTable, gather_window, window_rows
from retrieve_rl.types import Array

_STATES_AT_ONCE = 256
_MAX_STATES = 4096


class Distances(NamedTuple):
    """From the expert's actions: of the policy's, and of what its backbone alone says."""

    corrected: Float[Array, " B"]
    uncorrected: Float[Array, " B"]


def distance_to_expert(policy: TrainedPolicy, held_out: StepTable) -> dict[str, float]:
    """Mean Euclidean distance between actions, over up to 4,096 steps spread evenly.

    Keys: "memory", "empty", "random", and "states", how many were measured.
    """
    count = min(_MAX_STATES, held_out.num_steps)
    rows = np.linspace(0, held_out.num_steps - 1, count).astype(np.int32)
    with_memory = _distances(policy, held_out, rows, "neighbors")
    at_random = _distances(policy, held_out, rows, "random")
    return {
        "memory": float(np.mean(with_memory.corrected)),
        "empty": float(np.mean(with_memory.uncorrected)),
        "random": float(np.mean(at_random.corrected)),
        "states": count,
    }


def _distances(
    policy: TrainedPolicy, table: StepTable, rows: np.ndarray, use: MemoryUse
) -> Distances:
    table = jax.device_put(table)
    found = []
    for first in range(0, len(rows), _STATES_AT_ONCE):
        last_rows = np.resize(rows[first : first + _STATES_AT_ONCE], _STATES_AT_ONCE)
        window_index, mask = window_rows(
            table, jnp.asarray(last_rows), policy.config.train.context_len
        )
        window = gather_window(table, window_index, mask)
        # The step's own action is what is asked for; a causal backbone must not read it, and
        # here it cannot.
        hidden = window._replace(actions=window.actions.at[:, -1].set(0.0))
        answer = policy.answer(hidden, jax.random.key(first), use)
        taken = Distances(answer.actions[:, 0], answer.backbone_actions[:, 0])
        found.append(jax.tree.map(partial(_apart, window.actions[:, -1]), taken))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(rows)], *found)


def _apart(expert: Float[Array, "B A"], actions: Float[Array, "B A"]) -> Float[np.ndarray, " B"]:
    return np.asarray(jnp.linalg.norm(jnp.clip(actions, -1.0, 1.0) - expert, axis=-1))
