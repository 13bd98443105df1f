"""Two runs side by side: paired by episode, and refused where they do not belong together."""

import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.go.cell import judged_on as of_go
from retrieve_rl.reframe.cell import judged_on as of_reframe
from retrieve_rl.study.compare import Compared, compare, load
from retrieve_rl.study.intervals import EPISODES_ONLY, NamedScores, scores_of

TWO = """
title = "Two"
tasks = ["easy"]
arms = ["plain", "ours"]
preset = "quick"
"""


def compared(values, *, episodes=(1, 2, 3), **changes):
    fields = {
        "run": "a",
        "label": "t a",
        "status": "ok",
        "paper": "stub",
        "task": "t",
        "seed": 0,
        "results_version": 1,
        "measure": "score",
        "digests": {"data": "ab"},
        "scores": {"score": NamedScores(episodes, scores_of(values))},
        "judged_on": {"opponent": "gnugo"},
    }
    return Compared(**{**fields, **changes})


def test_by_hand():
    told = compare(compared([3.0, 5.0, 7.0]), compared([9.0, 1.0], episodes=(3, 1)))
    found = told["measures"]["score"]
    assert (found["first"], found["second"], found["pairs"]) == (5.0, 5.0, 2)
    assert found["difference"]["mean"] == 0.0  # of 3 - 1 and 7 - 9
    assert (found["difference"]["low"], found["difference"]["high"]) == (-2.0, 2.0)
    assert found["interval"] == EPISODES_ONLY and found["episodes"] == [3, 2]
    assert told["notes"] == []


def test_what_makes_them_unlike_is_told():
    told = compare(compared([1.0] * 3), compared([1.0] * 3, seed=1, digests={"data": "cd"}))
    assert [note.split(",")[0] for note in told["notes"]] == [
        "other seeds",
        "data differs in its bytes between the two",
    ]
    (note,) = compare(compared([1.0] * 3), compared([1.0] * 3, digests={"d": "e"}))["notes"]
    assert note == "other data: data, d"
    (note,) = compare(compared([1.0] * 3, status="partial"), compared([1.0] * 3))["notes"]
    assert note == "a is partial: its summary says why"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"results_version": 2}, "results_version 1 and 2"),
        ({"task": "u"}, "task t and u"),
        ({"paper": "other"}, "paper stub and other"),
        ({"judged_on": {"opponent": "pachi"}}, "opponent gnugo and pachi"),
        ({"episodes": (7, 8, 9)}, "not judged on a common episode"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        compare(compared([1.0] * 3), compared([1.0] * 3, **changes))


def test_runs_and_cells_are_the_same_thing(go, stub, tmp_path):
    go(TWO)
    told = []
    for kind in ("runs/train-policy/easy/{}-*", "cells/quick/easy/{}-*.json"):
        plain, ours = (next(tmp_path.glob(kind.format(arm))) for arm in ("plain", "ours"))
        told.append(
            compare(*(load(path, lambda name: stub.PAPER) for path in (ours, plain)))["measures"]
        )
    assert told[0]["score"]["pairs"] == 4 and told[0]["score"]["difference"]["mean"] > 2.0
    assert told[0]["score"]["first"] == pytest.approx(told[1]["score"]["first"], rel=1e-8)
    with pytest.raises(DataError, match="has not finished"):
        load(tmp_path, lambda name: stub.PAPER)


def test_positions_drawn_by_other_seeds_are_no_pairs():
    """Of a game in two draws only the name is common, whatever match is played afterwards."""
    whole = {"trained": {"held_out": {"positions": 9}}, "play": {"opponent": "gnugo"}}
    assert of_go(whole, 0, "top1") != of_go(whole, 1, "top1")
    assert of_go(whole, 0, "top1")["held_out.positions"] == 9
    match = {"opponent": "gnugo", "move_seconds": 2.0, "games": 4}
    for settings in (match, {"play": match}):
        found = [of_go(settings, seed, "score") for seed in (0, 1)]
        assert found == [{"opponent": "gnugo", "move_seconds": 2.0}] * 2


def test_families_of_data_are_other_benchmarks():
    def family(dataset):
        return of_reframe({"data": {"dataset": dataset}}, 0, "")["family of the data"]

    assert family("rrl/hopper/medium-v0@1") == family("rrl/hopper/medium-v0") == "rrl"
    assert family("d4rl/hopper-medium-v2@ab") == "d4rl"
    assert family("mine-v0@ab") == family("mine-v0") == "mine-v0"
    assert family("file@ab") == family("there/mine.hdf5") == "file"
    judged = of_reframe(
        {"data": {"dataset": "rrl/x"}, "env": {"id": "Hopper-v5", "target_return": 9}}, 0, ""
    )
    assert judged == {
        "family of the data": "rrl",
        "env.id": "Hopper-v5",
        "env.max_steps": 1000,
        "env.score_table": "",
    }


def test_what_a_cell_leaves_out_is_at_its_default():
    """Of two cells one names its environment, for the other's is the default."""
    for changed in ({"id": "Walker2d-v5"}, {"max_steps": 500}, {"score_table": "t"}):
        env = [{}, changed]
        judged = [of_reframe({"data": {"dataset": "rrl/x"}, "env": one}, 0, "") for one in env]
        with pytest.raises(DataError, match="do not belong into one table: env"):
            compare(*(compared([1.0] * 3, judged_on=one) for one in judged))
    for changed, measure, differing in (
        ({"held_out": {"positions": 9}}, "top1", "held_out.positions 4000 and 9"),
        ({"play": {"opponent": "gnugo", "move_seconds": 2.0}}, "score", "move_seconds 10.0 and 2"),
    ):
        settings = [{"play": {"opponent": "gnugo"}}, changed]
        judged = [of_go(one, 0, measure) for one in settings]
        with pytest.raises(DataError, match=f"do not belong into one table: {differing}"):
            compare(*(compared([1.0] * 3, judged_on=one) for one in judged))
