"""Named numbers of hand-made cells."""

from types import SimpleNamespace

import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.study.cell_files import CellResult, Outcomes
from retrieve_rl.study.design import StudyDesign
from retrieve_rl.study.execute import Ended
from retrieve_rl.study.intervals import EPISODES_ONLY, T_OVER_SEEDS
from retrieve_rl.study.table import over_tasks, same_version, summarize, unlike_data, verdict


def ended(
    values, *, arm="a", seed=0, settings=None, task="t", counts=(), measure="score", **changes
):
    settings = settings or {}
    varied = " ".join(f"{key}={value}" for key, value in settings.items())
    fields = {
        "key": "0",
        "paper": "stub",
        "task": task,
        "arm": arm,
        "preset": "quick",
        "seed": seed,
        "results_version": 1,
        "identity": {},
        "digests": {"data": "ab"},
        "steps": 5,
        "parameters": 7,
        "measure": measure,
        "outcomes": Outcomes(
            episodes=list(range(len(values))), counts=list(counts), values={measure: values}
        ),
        "seconds": {"train": 2.0 + seed},
        "versions": {},
        "device": {},
    }
    label = f"{task} {arm}"
    cell = SimpleNamespace(
        task=task, arm=arm, settings=settings, varied=varied, seed=seed, label=label
    )
    return Ended(cell, CellResult(**{**fields, **changes}))


def table(*rows, arms=("a", "b"), **changes):
    return summarize(rows, StudyDesign(title="T", tasks=["t"], arms=list(arms), **changes))


def test_numbers_by_hand():
    found = table(ended([1.0, 3.0]), ended([6.0, 6.0], seed=1), ended([5.0], arm="b"))["t"]
    assert found["a"]["mean"] == 4.0 and found["a"]["interval"] == T_OVER_SEEDS
    assert (found["a"]["episodes"], found["a"]["seeds"]) == (4, 2)
    assert (found["a"]["steps"], found["a"]["parameters"]) == (5, 7)
    assert found["a"]["train_seconds"] == 2.5 and found["a"]["measure"] == "score"
    assert found["a"]["interquartile_mean"]["mean"] == 4.5  # of 3 and 6, the middle half
    one = found["b"]
    assert (one["mean"], one["low"], one["high"], one["interval"]) == (5.0, 5.0, 5.0, EPISODES_ONLY)


def test_games_count_for_their_positions():
    (found,) = table(ended([1.0, 6.0], counts=[2, 8]))["t"].values()
    assert found["mean"] == 0.7


def test_the_grid_is_a_level_of_its_own():
    rows = [ended([float(n)], settings={"k": n}) for n in (60, 1)]
    summary = table(*rows)["t"]["a"]
    assert list(summary) == ["k=60", "k=1"] and summary["k=60"]["mean"] == 60.0


def test_differences_are_to_the_same_row_of_the_reference():
    rows = [
        ended([float(n + (10 if arm == "b" else 0)), float(n)], arm=arm, settings={"k": n})
        for arm in "ab"
        for n in (1, 2)
    ]
    found = table(*rows)["t"]
    assert "difference" not in found["a"]["k=1"]
    assert found["a"]["k=2"]["difference"]["less"] == "a k=1"
    assert found["a"]["k=2"]["difference"]["mean"] == 1.0
    assert found["b"]["k=2"]["difference"]["less"] == "a k=2"
    assert found["b"]["k=2"]["difference"]["mean"] == 5.0
    assert found["b"]["k=2"]["difference"]["pairs"] == 2


def test_a_reference_without_the_grid_serves_every_row():
    rows = [
        ended([3.0], settings={"k": 1}),
        ended([4.0], settings={"k": 2}),
        ended([1.0], arm="base"),
    ]
    found = table(*rows, reference="base", arms=("a", "b", "base"))["t"]
    assert [found["a"][f"k={n}"]["difference"]["mean"] for n in (1, 2)] == [2.0, 3.0]
    assert found["a"]["k=1"]["difference"]["less"] == "base"
    assert "difference" not in found["base"]


def test_a_reference_agrees_in_every_key_that_both_vary():
    """The design of matches: the memory of one arm grows, and both are asked with and without a
    search."""
    rows = [
        ended([score], settings={"search": search, "grows": grows})
        for search, grows, score in (
            (9, "no", 5.0),
            (9, "yes", 7.0),
            (0, "no", 2.0),
            (0, "yes", 3.0),
        )
    ]
    rows += [ended([4.0], arm="base", settings={"search": 9})]
    rows += [ended([1.0], arm="base", settings={"search": 0})]
    found = table(*rows, reference="base", arms=("a", "base"))["t"]
    less = {row: told["difference"]["less"] for row, told in found["a"].items()}
    assert less == {row: f"base {row.split()[0]}" for row in found["a"]}
    assert found["a"]["search=0 grows=yes"]["difference"]["mean"] == 2.0
    own = table(*rows[:4], arms=("a",))["t"]["a"]
    assert "difference" not in own["search=9 grows=no"]
    assert own["search=0 grows=yes"]["difference"]["less"] == "a search=9 grows=yes"
    assert own["search=9 grows=yes"]["difference"]["less"] == "a search=9 grows=no"


def test_a_row_of_the_reference_arm_that_varies_another_key_is_compared_with_the_first():
    rows = [ended([2.0], settings={"k": 1}), ended([5.0], settings={"other": "x"})]
    rows += [ended([6.0], settings={"k": 1, "other": "x"})]
    found = table(*rows, arms=("a",))["t"]["a"]
    assert [found[row]["difference"]["mean"] for row in ("other=x", "k=1 other=x")] == [3.0, 4.0]


def test_where_several_rows_would_do_there_is_no_difference():
    rows = [ended([3.0], settings={"k": 1}), ended([4.0], settings={"k": 2}), ended([1.0], arm="b")]
    found = table(*rows)["t"]
    assert "difference" not in found["b"] and found["a"]["k=2"]["difference"]["mean"] == 1.0


def test_the_judged_arm_is_compared_with_the_same_row_of_every_other():
    rows = [
        ended([float(n), n + 1.0], arm=arm, seed=seed, settings={"k": n})
        for arm in "ab"
        for n in (1, 2)
        for seed in range(2)
    ]
    rows += [ended([9.0, 9.0], arm="c", seed=seed) for seed in range(2)]
    found = table(*rows, arms="abc", judged="a", margin=1.0)["t"]
    against = found["a"]["k=2"]["against"]
    assert {arm: told["mean"] for arm, told in against.items()} == {"b": 0.0, "c": -6.5}
    assert (against["b"]["less"], against["b"]["pairs"]) == ("b k=2", 4)
    assert (against["b"]["verdict"], against["c"]["verdict"]) == ("not worse", "lost")
    assert "against" not in found["b"]["k=2"] and "against" not in found["c"]


@pytest.mark.parametrize(
    "low, high, expected",
    [(0.1, 2, "won"), (-4.9, 2, "not worse"), (-5.0, 2, "undecided"), (-9, -0.1, "lost")],
)
def test_verdicts_at_their_borders(low, high, expected):
    assert verdict({"low": low, "high": high}, 5.0) == expected


def test_what_cannot_be_paired_has_no_difference():
    rows = [ended([3.0], seed=0), ended([1.0], arm="b", seed=1)]
    assert table(*rows)["t"]["b"]["difference"] is None


def test_conditions_are_over_seeds_and_one_seed_keeps_its_interval():
    def having(mean, seed):
        own = {"mean": mean, "low": mean - 0.5, "high": mean + 0.5}
        return ended([1.0], seed=seed, conditions={"half": {"score": own}})

    (both,) = table(having(1.0, 0), having(3.0, 1))["t"].values()
    assert both["conditions"]["half"]["score"]["mean"] == 2.0
    assert both["conditions"]["half"]["score"]["high"] == pytest.approx(2 + 12.7062, abs=1e-4)
    (one,) = table(having(1.0, 0))["t"].values()
    assert one["conditions"]["half"]["score"]["low"] == 0.5
    unknown = {"half": {"score": {"mean": None, "low": None, "high": None}}}
    (none,) = table(ended([1.0], conditions=unknown))["t"].values()
    assert none["conditions"] == {}


def test_what_only_some_seeds_have_is_told_and_a_count_that_is_not_there_is_none():
    def having(seed, **conditions):
        told = {
            condition: {
                name: {"mean": mean, "low": None, "high": None} for name, mean in of.items()
            }
            for condition, of in conditions.items()
        }
        return ended([1.0], seed=seed, conditions=told)

    first = having(0, endings={"resigned": 6.0, "void": 2.0}, cost={"seconds": 1.0})
    second = having(1, endings={"resigned": 4.0, "passed": 8.0}, cost={"share": 0.5}, more={"x": 1})
    (row,) = table(first, second)["t"].values()
    means = {
        condition: {name: found["mean"] for name, found in of.items()}
        for condition, of in row["conditions"].items()
    }
    assert means == {
        "endings": {"resigned": 5.0, "void": 1.0, "passed": 4.0},
        "cost": {"seconds": 1.0, "share": 0.5},
        "more": {"x": 1.0},
    }


def test_failed_cells_do_not_enter():
    failed = Ended(ended([1.0], arm="b").cell, None, "no")
    assert list(table(ended([1.0]), failed)["t"]) == ["a"]
    assert table(failed) == {} == table()


def test_means_over_tasks_are_of_rows_that_all_have():
    rows = [ended([1.0]), ended([3.0], task="u"), ended([9.0], arm="b")]
    told = over_tasks(rows)
    assert list(told) == ["a"] and told["a"][""]["mean"] == 2.0 and told["a"][""]["tasks"] == 2
    assert over_tasks(rows[:1]) == {}
    assert over_tasks([ended([1.0]), ended([3.0], task="u", measure="other")]) == {}


def test_versions_do_not_mix_but_papers_have_their_own():
    same_version([ended([1.0]), ended([1.0], paper="other", results_version=3)])
    with pytest.raises(DataError, match="several versions of stub .*1: t a; 2: t b"):
        same_version([ended([1.0]), ended([1.0], arm="b", results_version=2)])


def test_other_bytes_of_the_same_data_are_told():
    assert unlike_data([ended([1.0]), ended([1.0], digests={"other data": "cd"})]) == []
    (note,) = unlike_data([ended([1.0]), ended([1.0], digests={"data": "cd"})])
    assert "data differs in its bytes between cells (2 versions" in note


def test_a_condition_is_paired_with_the_other_row_as_that_was_trained():
    half = {"half": {"score": {"mean": 1.0, "low": None, "high": None}}}
    mine = ended([4.0, 8.0], arm="b", conditions=half, condition_totals={"half": [1.0, 3.0]})
    told = table(ended([2.0, 1.0]), mine)["t"]["b"]
    found = told["conditions"]["half"]["score"]["difference"]
    assert (found["mean"], found["low"], found["high"]) == (0.5, -1.0, 2.0)  # 1 - 2 and 3 - 1
    assert (found["less"], found["pairs"]) == ("a", 2)
    old = ended([4.0, 8.0], arm="b", conditions=half)
    told = table(ended([2.0, 1.0]), old)["t"]["b"]
    assert "difference" not in told["conditions"]["half"]["score"]
