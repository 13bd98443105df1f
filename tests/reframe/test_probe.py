"""Does the memory pull the policy towards the expert?"""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from retrieve_rl.reframe import cell
from retrieve_rl.reframe.probe import distance_to_expert
from retrieve_rl.results import read_result


def test_the_memory_brings_the_smoke_policy_closer_to_unseen_experts(smoke):
    """As measured at the end of training; test_evaluate measures it again."""
    _, run, data, _ = smoke
    distance = read_result(run.folder).retrieval["distance_to_expert"]
    assert distance["memory"] < distance["empty"]
    assert distance["memory"] < distance["random"]
    assert distance["states"] == min(4096, data.held_out.num_steps)


def test_a_study_keeps_what_the_memory_did():
    distances = {"memory": 0.1, "empty": 0.3, "random": 0.2, "states": 50}
    report = {"distance_to_expert": distances, "mean_gate": 0.75, "mean_closeness": 0.5}
    kept = cell.conditions(SimpleNamespace(retrieval=report))
    means = {
        condition: {name: numbers["mean"] for name, numbers in of.items()}
        for condition, of in kept.items()
    }
    assert means == {
        "memory": {"distance_to_expert": 0.1},
        "empty": {"distance_to_expert": 0.3},
        "random": {"distance_to_expert": 0.2},
        "at play": {"gate": 0.75, "closeness": 0.5},
    }
    assert cell.conditions(SimpleNamespace(retrieval=None)) == {}


class Answering:
    """A policy that repeats its window's last action, or answers a constant by its memory's use."""

    config = SimpleNamespace(train=SimpleNamespace(context_len=4))
    constants = {"neighbors": 0.0, "random": -0.5}

    def __init__(self):
        self.states = []

    def answer(self, window, rng_key, use):
        self.states.append(np.asarray(window.observations[:, -1]))
        assert not np.any(window.actions[:, -1])
        actions = jnp.full((*window.actions[:, -1:].shape,), self.constants[use])
        return SimpleNamespace(actions=actions, backbone_actions=jnp.full_like(actions, 5.0))


@pytest.mark.parametrize("lengths", [[3], [100, 156], [300, 17]])
def test_distances_by_hand(make_table, lengths):
    """Every step counts once, with an answer clipped to the action's bounds."""
    table, policy = make_table(lengths), Answering()
    found = distance_to_expert(policy, table)
    assert found["states"] == sum(lengths)
    for name, constant in (("memory", 0.0), ("empty", 1.0), ("random", -0.5)):
        expected = np.linalg.norm(constant - table.actions, axis=1).mean()
        assert found[name] == pytest.approx(expected, rel=1e-5)
