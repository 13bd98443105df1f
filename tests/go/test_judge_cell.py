"""What a study plays with a policy: runs and numbers of its own, a memory that grows first."""

import json
import re
import shutil

import pytest

from retrieve_rl.config import digest
from retrieve_rl.errors import DataError, GateError, UsageError
from retrieve_rl.go import cell
from retrieve_rl.go.config import config_hash, index_config_hash, judgment_hash
from retrieve_rl.go.endings import Label
from retrieve_rl.go.judge_cell import judge_cell
from retrieve_rl.go.openings import split_openings
from retrieve_rl.go.play_config import PlayConfig, RecordsConfig
from retrieve_rl.go.points import moves_of
from retrieve_rl.go.sources import digest_of_records
from retrieve_rl.go.train_policy import train_policy
from retrieve_rl.results import Run, write_result


@pytest.fixture(scope="module")
def config(go_config):
    """Two steps of a tiny policy, judged on few positions."""
    changes = {
        "train": {"steps": 2, "batch_size": 4},
        "model": {"channels": 4, "observation_blocks": 0, "unroll_steps": 1},
        "held_out": {"positions": 20, "num_neighbors": (1,), "fractions": (1.0,)},
        "evaluate": {"positions": 10},
    }
    sections = {
        name: getattr(go_config, name).model_copy(update=change) for name, change in changes.items()
    }
    return go_config.model_copy(update=sections)


@pytest.fixture(scope="module")
def playing(config, fake_engine):
    """playing(games=4): the config with a match of the prior against the fake engine."""

    def change(**play):
        settings = {"simulations": 0, "games": 4, "num_neighbors": 3, **play}
        opponent = fake_engine.command("--seed", "{seed}", "--moves", "5")
        return config.model_copy(update={"play": PlayConfig(opponent=opponent, **settings)})

    return change


@pytest.fixture(scope="module")
def trained(config, go_index, go_run):
    folder = go_run.root / "train-policy" / "judged" / "a"
    folder.mkdir(parents=True)
    run = Run(folder, go_run.root, go_run.reporter, go_run.stop)
    write_result(folder, train_policy(config, run))
    return folder


@pytest.fixture
def judge(trained, go_run, tmp_path):
    def judged(config, name="judged"):
        run = Run(tmp_path / name, go_run.root, go_run.reporter, go_run.stop)
        return judge_cell(config, run, trained=trained)

    return judged


def test_a_match_changes_no_training_and_no_other_cell(config, playing):
    played = playing()
    assert config_hash(played) == config_hash(config)
    assert index_config_hash(played) == index_config_hash(config)
    assert judgment_hash(config) == config_hash(config) != judgment_hash(played)
    assert judgment_hash(played) != judgment_hash(playing(games=6))
    assert "play" not in cell.identity(config)
    assert digest(cell.identity(played)) != digest(cell.identity(playing(games=6)))


def test_without_an_opponent_held_out_games_judge(config, judge):
    told = judge(config)
    assert told.summary["measure"] == "top1"
    assert len(cell.measurements(told).episodes) == len(told.outcomes)
    conditions, totals = cell.conditions(told), cell.condition_totals(told)
    assert totals["as trained"] == cell.measurements(told).values["top1"]
    assert sum(totals["no neighbors"]) / sum(cell.measurements(told).counts) == pytest.approx(
        conditions["no neighbors"]["top1"]["mean"]
    )
    assert conditions["index"]["recall_at_10"]["mean"] == told.retrieval["recall_at_10"] > 0.9
    assert conditions.keys() - totals.keys() == {"index"}


def test_a_match_is_measured_by_pairs(playing, judge, go_data):
    told = judge(playing())
    columns = cell.measurements(told)
    assert columns.episodes == [0, 1] and columns.counts == [2, 2]
    assert sum(columns.values["score"]) / 4 == told.summary["mean"]
    assert told.config["agent"]["num_neighbors"] == 3
    assert set(cell.digests(told).values()) == {go_data.store.manifest.digest}
    conditions = cell.conditions(told)
    assert conditions["cost of a move"]["move_seconds"]["mean"] > 0
    failures = {name: told["mean"] for name, told in conditions["failures"].items()}
    assert failures == {"void": 0, "player": 0, "opponent": 0}
    assert set(conditions["played positions"]) == {"median_distance"}
    games = {name: found["mean"] for name, found in conditions["games"].items()}
    assert games["distinct"] == told.summary["distinct_games"] > 0
    assert games["score_as_black"] + games["score_as_white"] == 2 * told.summary["mean"]
    endings = {name: found["mean"] for name, found in conditions["endings"].items()}
    assert endings == {**dict.fromkeys(Label, 0), **told.summary["labels"]}
    assert sum(endings.values()) == 4
    assert told.versions["opponent"] == told.summary["opponent"]


def test_the_prior_plays_whatever_number_of_simulations_is_set(playing, judge):
    told = judge(playing(player="prior", simulations=200, games=2))
    assert told.config["agent"]["search"]["player"] == "prior"
    assert told.summary["games"] == 2


def test_a_match_goes_on_from_a_log_that_a_kill_cut_short(playing, judge, tmp_path):
    (tmp_path / "judged").mkdir()
    log = '{"step": 1, "seconds": 1000.0, "device": "cpu"}\n{"step": 2, "sec'
    (tmp_path / "judged/spent.jsonl").write_text(log)
    told = judge(playing(games=2))
    assert told.summary["games"] == 2 and told.timings["play_seconds"] > 1000


def test_a_match_of_void_games_is_no_result(playing, fake_engine, judge, tmp_path):
    opponent = fake_engine.command("--seed", "{seed}", "genmove:3:exit:0")
    config = playing()
    play = config.play.model_copy(update={"opponent": opponent})
    remedy = re.escape(f"from {tmp_path / 'judged/games'} and run again")
    with pytest.raises(GateError, match=f"4 of 4 games are void.*{remedy}$"):
        judge(config.model_copy(update={"play": play}))
    for file in (tmp_path / "judged/games").glob("*.json"):
        assert '"outcome": null' in file.read_text()
        file.unlink()
    assert judge(config).summary["void"] == 0


def shared(name, some, others):
    return {game[name] for game in some} & {game[name] for game in others}


def test_own_games_join_the_memory_before_the_match(playing, judge, tmp_path, go_index):
    grown = playing(grows_by="own games", added_from=6, added_positions=40)
    told = judge(grown)
    growth = told.retrieval["growth"]
    assert growth["added"]["positions"] == 40
    assert told.retrieval["sha256"] != go_index.memory.manifest.digest
    assert told.config["index"] == told.retrieval["sha256"]
    assert growth["played"]["to_grown"]["q50"] <= growth["played"]["to_old"]["q50"]
    assert len(list((tmp_path / "judged/adding/games").glob("*.sgf"))) == 6
    games = (tmp_path / "judged/adding/games").glob("game-*.json")
    adding = [json.loads(file.read_text())["game"] for file in games]
    scoring = [outcome["game"] for outcome in told.outcomes]
    assert len(adding) == 6 and not shared("seed", adding, scoring)
    assert not shared("opening", adding, scoring)
    both = [moves_of(game["opening"]) for game in (*adding, *scoring)]
    for half, games in zip(split_openings(both), (adding, scoring), strict=True):
        assert {moves_of(game["opening"]) for game in games} == set(half.openings)
    conditions = cell.conditions(told)
    assert set(conditions["test positions"]) == {
        "median_distance_to_old",
        "median_distance_to_grown",
    }
    assert 0 <= conditions["played positions"]["found_among_added"]["mean"] <= 1
    again = judge(grown)
    assert again.outcomes == told.outcomes
    # All games were found: what they took is still told.
    assert again.timings["play_seconds"] > told.timings["play_seconds"]


def test_games_from_before_a_policy_was_trained_anew_are_refused(
    config, playing, judge, go_run, tmp_path
):
    grown = playing(grows_by="own games", added_from=2, added_positions=10, games=2)
    judge(grown)
    shutil.rmtree(tmp_path / "judged/games")  # as if it had been stopped before its own match
    folder = tmp_path / "anew"
    folder.mkdir()
    longer = config.model_copy(update={"train": config.train.model_copy(update={"steps": 3})})
    run = Run(folder, go_run.root, go_run.reporter, go_run.stop)
    write_result(folder, train_policy(longer, run))
    grown = grown.model_copy(update={"train": longer.train})
    run = Run(tmp_path / "judged", go_run.root, go_run.reporter, go_run.stop)
    with pytest.raises(DataError, match="judged/adding holds another match"):
        judge_cell(grown, run, trained=folder)


def test_other_games_join_it_in_the_same_number(playing, judge, tmp_path, random_sgf):
    records = tmp_path / "others.sgf"
    records.write_bytes(b"".join(random_sgf(seed) for seed in (200, 201, 202)))
    others = RecordsConfig(file="others.sgf", sha256=digest_of_records(records))
    grown = playing(grows_by="other games", added_positions=40, other_games=others)
    data = grown.data.model_copy(update={"folder": str(tmp_path)})
    shutil.copy(f"{grown.data.folder}/{grown.data.sources[0].file}", tmp_path)
    told = judge(grown.model_copy(update={"data": data}))
    assert told.retrieval["growth"]["added"]["positions"] == 40


def test_what_cannot_grow_is_refused(playing, judge):
    with pytest.raises(ValueError, match="needs play.other_games"):
        playing(grows_by="other games")
    grown = playing(grows_by="own games", num_neighbors=None)
    retrieval = grown.retrieval.model_copy(update={"source": "none"})
    with pytest.raises(UsageError, match="no memory that could grow"):
        judge(grown.model_copy(update={"retrieval": retrieval}))
