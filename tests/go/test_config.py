"""The settings of Go: layers, sources, what the hash knows."""

import pytest

from retrieve_rl.config import digest, named_files
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.go.cell import identity
from retrieve_rl.go.config import config_hash, index_config_hash, resolve
from retrieve_rl.go.sources import BUNDLED, digest_of_records, locate


def test_the_task_reads_the_bundled_games_by_default():
    config = resolve("go9", preset="quick", seed=3, settings=["keys.dim=32"])
    assert (config.task, config.preset, config.arm, config.seed) == ("go9", "quick", "retrieval", 3)
    assert [source.file for source in config.data.sources] == [BUNDLED]
    assert config.keys.dim == 32


def test_other_games_are_known_by_content_and_not_by_place(tmp_path):
    for folder in ("here", "there", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my.sgf").write_text("(;SZ[9])" if folder != "elsewhere" else "(;)")
    here, there, elsewhere = (
        resolve("go9", games=tmp_path / folder / "my.sgf")
        for folder in ("here", "there", "elsewhere")
    )
    assert config_hash(here) == config_hash(there)
    assert len({config_hash(c) for c in (here, elsewhere, resolve("go9"))}) == 3


def test_a_task_that_lists_files_takes_their_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("RRL_GAMES", raising=False)
    (tmp_path / "my.sgf").write_text("(;SZ[9])")
    sha256 = digest_of_records(tmp_path / "my.sgf")
    task = tmp_path / "mine.toml"
    task.write_text(f'[[data.sources]]\nfile = "my.sgf"\nsha256 = "{sha256}"\n')
    config = resolve(str(task), games=tmp_path)
    source = config.data.sources[0]
    assert locate(source.file, source.sha256, config.data.folder) == tmp_path / "my.sgf"
    (tmp_path / "my.sgf").write_text("(;SZ[19])")
    with pytest.raises(DataError, match="other records"):
        locate(source.file, source.sha256, config.data.folder)
    with pytest.raises(DataError, match="--games"):
        locate(source.file, source.sha256, "")
    monkeypatch.setenv("RRL_GAMES", str(tmp_path))
    (tmp_path / "my.sgf").write_text("(;SZ[9])")
    assert locate(source.file, source.sha256, "") == tmp_path / "my.sgf"


def test_what_only_a_policy_reads_leaves_the_index_as_it_is():
    plain = resolve("go9")
    arms = [resolve("go9", arm=arm) for arm in named_files("arms/go")]
    settings = ("model.channels=8", "train.steps=7", "held_out.positions=9")
    others = [*arms, *(resolve("go9", settings=[setting]) for setting in settings)]
    others += [resolve("go9", seed=seed) for seed in (1, 2)]
    assert {index_config_hash(config) for config in others} == {index_config_hash(plain)}
    assert len({config_hash(config) for config in others}) == len(others)
    assert index_config_hash(resolve("go9", settings=["keys.dim=8"])) != index_config_hash(plain)
    assert index_config_hash(resolve("go9", settings=["index.seed=1"])) != index_config_hash(plain)
    assert index_config_hash(plain) != config_hash(plain)
    assert [config.arm for config in arms if not config.retrieves] == ["baseline"]


@pytest.mark.parametrize(
    "settings, message",
    [
        (["encoder.channel=3"], "did you mean encoder.channels"),
        (["keys.dim=512", 'keys.layer="hidden"'], "256 features of layer hidden"),
        (["keys.dim=128", "keys.layer=moves"], "82 features of layer moves"),
        (["data.sources=[{held_out=false}]"], "held_out = true"),
        (['data.sources=[{file="a.sgf"}]'], "sha256"),
        (["retrieval.num_neighbors=11"], "more than the index.num_neighbors 10"),
        (["model.unroll_steps=10"], "model.unroll_steps"),
        (["play.games=3"], "multiple of 2"),
        (["play.added_from=7"], "multiple of 2"),
        (['play.grows_by="own games"'], "needs play.opponent"),
    ],
)
def test_contradictions_are_said(settings, message):
    with pytest.raises(UsageError, match=message):
        resolve("go9", settings=settings)


@pytest.mark.parametrize(
    "setting", ["play.neighbors=nearest", "play.num_neighbors=3", 'play.grows_by="own games"']
)
def test_a_match_of_the_baseline_has_no_neighbors(setting):
    settings = ["play.opponent=gnugo", setting]
    assert resolve("go9", settings=settings).plays
    with pytest.raises(UsageError, match="for policies with neighbors"):
        resolve("go9", arm="baseline", settings=settings)
    assert resolve("go9", arm="baseline", settings=["play.opponent=gnugo", "play.neighbors=none"])


def test_a_budget_leaves_the_size_of_the_encoder_to_the_task():
    sizes = {
        preset: (encoder.channels, encoder.num_blocks)
        for preset in ("quick", "default", "smoke")
        for encoder in [resolve("go9-11m", preset=preset).encoder]
    }
    assert sizes["quick"] == sizes["default"] == (32, 4) > sizes["smoke"]


def test_unknown_names_and_missing_games(tmp_path):
    with pytest.raises(UsageError, match="no task is called 'go19'; did you mean go9"):
        resolve("go19")
    with pytest.raises(UsageError, match="no preset is called"):
        resolve("go9", preset="papers")
    with pytest.raises(UsageError, match="no arm is called 'base'; did you mean baseline"):
        resolve("go9", arm="base")
    with pytest.raises(DataError, match="expected game records"):
        resolve("go9", games=tmp_path / "nothing")


def test_what_a_run_is_judged_by_is_part_of_it():
    """`rrl evaluate` reads it from the run: another wish must not find a run that lacks it."""
    settings = ("held_out.fractions=[0.5]", "held_out.num_neighbors=[3]", "held_out.positions=9")
    asked = [resolve("go9"), *(resolve("go9", settings=[setting]) for setting in settings)]
    assert len({config_hash(config) for config in asked}) == 4


def test_how_an_index_is_made_is_nothing_to_the_baseline():
    asked = ("keys.dim=8", "index.num_neighbors=20", "encoder.steps=7")
    baseline = resolve("go9", arm="baseline")
    others = [resolve("go9", arm="baseline", settings=[setting]) for setting in asked]
    assert {config_hash(config) for config in others} == {config_hash(baseline)}
    assert {digest(identity(config)) for config in others} == {digest(identity(baseline))}
    drawn = resolve("go9", arm="baseline", settings=["index.seed=1"])
    assert config_hash(drawn) != config_hash(baseline)
    assert len({config_hash(resolve("go9", settings=[setting])) for setting in asked}) == 3
