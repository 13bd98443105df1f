"""The data of a task: the same games are held out whatever else is read."""

import numpy as np
import pytest

from retrieve_rl.config import named_files
from retrieve_rl.errors import DataError
from retrieve_rl.go.config import SourceConfig, resolve
from retrieve_rl.go.data import load_data
from retrieve_rl.go.points import BLACK
from retrieve_rl.go.sources import digest_of_records
from retrieve_rl.go.splits import TEST, TRAINING, VALIDATION

WHOLE = ("data.fraction=1.0", "data.validation_share=0.15", "data.test_share=0.15")


@pytest.fixture
def load(tmp_path, make_run):
    """load(own, others): the data of a task that lists own.sgf, of which games may be held out,
    and others.sgf, of which none may; `line` is one more line for the second."""

    def make(own, others=(), line=""):
        text = ""
        for name, games in (("own", own), ("others", others)):
            file = tmp_path / f"{name}.sgf"
            file.write_bytes(b"".join(games))
            if games:
                sha256 = digest_of_records(file)
                text += f'[[data.sources]]\nfile = "{file.name}"\nsha256 = "{sha256}"\n'
        task = tmp_path / "mine.toml"
        task.write_text(f"{text}held_out = false\n{line}" if others else text)
        config = resolve(str(task), preset="smoke", games=tmp_path, settings=WHOLE)
        return load_data(config, make_run())

    return make


def games_of(data, part):
    return set(map(bytes, data.store.games.digests[data.split == part]))


def test_another_collection_changes_no_held_out_game(load, random_sgf):
    own = [random_sgf(seed) for seed in range(60)]
    others = [random_sgf(seed, header="KM[5.5]RE[W+R]") for seed in range(40, 90)]
    alone, together = load(own), load(own, others)
    for part in (VALIDATION, TEST):
        assert games_of(alone, part) == games_of(together, part) != set()
    assert games_of(alone, TRAINING) < games_of(together, TRAINING)
    games = together.store.games
    assert len(games) == 90 and together.facts["rejected"] == {"duplicate": 20}
    assert set(games.named(games.sources[together.split != TRAINING])) == {"own.sgf"}
    held_out = games_of(alone, VALIDATION) | games_of(alone, TEST)
    trained_on = games.digests[together.store.positions.games[together.training_rows]]
    assert not held_out & set(map(bytes, trained_on))


def test_a_file_s_name_must_tell_whether_its_games_may_be_held_out(tmp_path, make_run, random_sgf):
    text = ""
    for name, first in (("own", 0), ("others", 20)):
        folder = tmp_path / name
        folder.mkdir()
        games = (random_sgf(seed) for seed in range(first, first + 20))
        (folder / "games.sgf").write_bytes(b"".join(games))
        text += f'[[data.sources]]\nfile = "{name}"\nsha256 = "{digest_of_records(folder)}"\n'
    task = tmp_path / "mine.toml"
    task.write_text(f"{text}held_out = false\n")
    config = resolve(str(task), preset="smoke", games=tmp_path, settings=WHOLE)
    with pytest.raises(DataError, match=r"both have a file games\.sgf: .* rename one of them"):
        load_data(config, make_run())


def test_of_a_bot_s_games_its_own_side_alone_is_taken(load, random_sgf):
    own = [random_sgf(seed) for seed in range(30)]
    bots = [random_sgf(seed, header="KM[7]RE[B+3]PB[bot]") for seed in range(30, 40)]
    nobodies = [random_sgf(seed) for seed in range(40, 45)]
    data = load(own, bots + nobodies, "named_side_only = true")
    positions = data.store.positions
    assert len(data.store.games) == 40 and data.facts["rejected"] == {"not selected": 5}
    from_bots = positions.games >= 30
    assert set(positions.to_move[from_bots].tolist()) == {BLACK}
    assert set(np.bincount(positions.games).tolist()) == {40, 20}


def test_every_task_holds_out_bundled_games_alone():
    data = [resolve(task).data for task in named_files("tasks/go")]
    assert len(data) == 3
    for one in data:
        assert one.sources[0] == SourceConfig()
        assert not any(source.held_out for source in one.sources[1:])
        assert one.fraction == 1.0
    assert len({(one.validation_share, one.test_share) for one in data}) == 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_task_holds_out_the_same_games(big_records, make_run, monkeypatch):
    """Positions are thinned out, which no split depends on."""
    monkeypatch.setenv("RRL_GAMES", str(big_records))
    names = ("go9", "go9-2m", "go9-11m")
    go9, more, most = (
        load_data(resolve(task, settings=["data.fraction=0.01"]), make_run()) for task in names
    )
    for part, count in ((VALIDATION, 214), (TEST, 207)):
        assert games_of(go9, part) == games_of(more, part) == games_of(most, part)
        assert len(games_of(go9, part)) == count
    assert games_of(go9, TRAINING) < games_of(more, TRAINING) < games_of(most, TRAINING)
    assert more.facts["positions"] == pytest.approx(21_862, rel=0.03)
    assert most.facts["positions"] == pytest.approx(109_258, rel=0.02)
