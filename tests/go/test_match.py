"""A match: every game played once, judged, saved, and the same after an interruption."""

import pytest

from retrieve_rl.errors import DataError, Interrupted
from retrieve_rl.go.endings import Fault, Label
from retrieve_rl.go.games import Source, read_records
from retrieve_rl.go.gtp_engine import TimeLimits
from retrieve_rl.go.gtp_player import GtpPlayer
from retrieve_rl.go.match import play_match
from retrieve_rl.go.match_games import plan_games
from retrieve_rl.go.match_statistics import check_voids, summarize
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.points import moves_of
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest

SILENT = Reporter(verbosity=-1)
OPENINGS = OpeningSet((moves_of("E5 C3"), moves_of("C3 G7 F3"), moves_of("D4")))


def play(player, opponent, games, folder, *, at_once=4, stop=None):
    stop = stop or StopRequest()
    return play_match(player, opponent, games, folder, at_once=at_once, reporter=SILENT, stop=stop)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_match_of_random_players(tmp_path, random_player):
    player, opponent = random_player("Ann", 1), random_player("Bob", 2)
    games = plan_games(OPENINGS, 8, komi=7.0)
    played = play(player, opponent, games, tmp_path)
    assert [game.game for game in played] == games
    for game in played:
        assert game.moves.startswith(game.game.opening)
        names = ("Ann", "Bob") if game.game.player_is_black else ("Bob", "Ann")
        assert (game.black, game.white) == names
        assert game.label in (Label.SCORE, Label.CAP) and game.outcome is not None
    # All games that are going on are asked about at once, each with the color that is to move.
    assert [len(asked[0]) for asked in (player.asked, opponent.asked)] == [2, 2]
    assert set(player.asked[0]) | set(opponent.asked[0]) == {0, 1, 2, 3}


def test_every_game_is_a_record_that_is_read_back(tmp_path, random_player):
    games = plan_games(OPENINGS, 6, komi=6.5)
    played = play(random_player("Ann", 1), random_player("Bob]\\", 2), games, tmp_path)
    read = read_records([Source(tmp_path)], fraction=1.0, seed=0, workers=1, reporter=SILENT)
    table = read.games
    assert read.rejected == {} and table.outcomes.tolist() == [game.outcome for game in played]
    assert table.margins.tolist() == [game.margin for game in played]
    assert table.named(table.players).tolist() == [[game.black, game.white] for game in played]
    assert set(table.komi) == {6.5} and "Bob]\\" in table.texts
    assert not table.area_disagrees.any() and not table.repeats.any()
    assert table.lengths.tolist() == [len(game.moves.split()) for game in played]


def test_a_match_that_was_stopped_goes_on_and_ends_the_same(tmp_path, random_player):
    games = plan_games(OPENINGS, 8, komi=7.0)
    whole = play(random_player("Ann", 1), random_player("Bob", 2), games, tmp_path / "whole")

    class Stopping(random_player):
        def moves(self, states):
            if len(list((tmp_path / "parts").glob("*.json"))) >= 3:
                stop.signal_number = 15
            return super().moves(states)

    stop = StopRequest()
    with pytest.raises(Interrupted, match="of 8 games are saved in .*parts"):
        play(Stopping("Ann", 1), random_player("Bob", 2), games, tmp_path / "parts", stop=stop)
    saved = {int(path.stem[5:]) for path in (tmp_path / "parts").glob("*.json")}
    assert 3 <= len(saved) < 8
    player = random_player("Ann", 1)
    assert play(player, random_player("Bob", 2), games, tmp_path / "parts") == whole
    assert not {game for asked in player.asked for game in asked} & saved
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    player = random_player("Ann", 1)
    assert play(player, random_player("Bob", 2), games, tmp_path / "parts") == whole
    assert player.asked == []


def test_games_that_end_as_a_signal_comes_are_saved(tmp_path, fake_engine, nothing_left):
    class Stopped(GtpPlayer):
        def ended(self, states):
            stop.signal_number = 15
            return super().ended(states)

    stop, games = StopRequest(), plan_games(OPENINGS, 2, komi=7.0)
    passing, limits = fake_engine.command("--moves", "0"), TimeLimits(command=60.0)
    with (
        GtpPlayer(passing, stop=StopRequest(), limits=limits) as player,
        Stopped(passing, stop=stop, limits=limits) as opponent,
        pytest.raises(Interrupted, match="2 of 2 games are saved"),
    ):
        play(player, opponent, games, tmp_path, stop=stop)
    saved = {path.name for path in tmp_path.glob("*.json")}
    assert saved == {"game-00000.json", "game-00001.json"}


def test_games_of_another_match_are_refused(tmp_path, random_player):
    ann, bob = random_player("Ann"), random_player("Bob")
    games = plan_games(OPENINGS, 2, komi=7.0)
    play(ann, bob, games, tmp_path)
    for player, opponent, other in (
        (ann, random_player("Eve"), games),
        (bob, ann, games),
        (ann, bob, plan_games(OPENINGS, 2, komi=6.5)),
    ):
        with pytest.raises(DataError, match="of another match, (Ann against Bob|Bob against Ann)"):
            play(player, opponent, other, tmp_path)
    (tmp_path / "game-00001.json").write_text("{")
    with pytest.raises(DataError, match="game-00001.json cannot be read.*remove it"):
        play(ann, bob, games, tmp_path)


def test_a_player_that_fails_ends_its_game_alone(tmp_path, random_player):
    class Failing(random_player):
        def moves(self, states):
            fault = Fault(Label.CRASH, "it broke")
            return [
                fault if state.game == 1 and len(state.moves) > 9 else move
                for state, move in zip(states, super().moves(states), strict=True)
            ]

    games = plan_games(OPENINGS, 4, komi=7.0)
    played = play(random_player("Ann", 1), Failing("Bob", 2), games, tmp_path)
    assert [game.label for game in played].count(Label.CRASH) == 1
    assert played[1].label == Label.CRASH and played[1].at_fault == "black"
    assert b"RE[Void]" in (tmp_path / "game-00001.sgf").read_bytes()
    whole = play(random_player("Ann", 1), random_player("Bob", 2), games, tmp_path / "whole")
    assert played[2:] == whole[2:]


def test_engines_against_engines(tmp_path, fake_engine, nothing_left, random_player):
    stop, limits = StopRequest(), TimeLimits(command=60.0)
    games = plan_games(OPENINGS, 6, komi=7.0)
    with (
        GtpPlayer(fake_engine.command("--moves", "6"), stop=stop, limits=limits) as one,
        GtpPlayer(fake_engine.command("final_score:1:say:W+5"), stop=stop, limits=limits) as other,
    ):
        played = play(one, other, games, tmp_path, at_once=3, stop=stop)
    assert {game.label for game in played} == {Label.SCORE}
    assert sum(len(game.claims) for game in played) == 3
    assert summarize(played)["void"] == 0


@pytest.mark.parametrize(
    "fault, label, score",
    [
        ("genmove:2:hang", Label.TIME, 1.0),
        ("genmove:2:say:Z99", Label.ILLEGAL, 1.0),
        ("genmove:2:say:resign", Label.RESIGN, 1.0),
        ("play:2:hang", Label.STALL, None),
        ("genmove:2:orphan", Label.CRASH, None),
        ("genmove:2:line:100000", Label.PROTOCOL, None),
        ("play:2:id:3", Label.DESYNC, None),
        ("play:2:refuse:illegal move", Label.ENGINE_ERROR, None),
    ],
)
def test_an_engine_that_fails(
    tmp_path, fake_engine, nothing_left, random_player, fault, label, score
):
    stop = StopRequest()
    games = plan_games(OPENINGS, 4, komi=7.0)
    limits = TimeLimits(command=1.0, move=0.1)
    # With a seed in its command line every process serves one game, and fails in it.
    command = fake_engine.command("--seed", "{seed}", fault)
    with GtpPlayer(command, stop=stop, limits=limits, thinking=4) as engine:
        played = play(random_player("random"), engine, games, tmp_path, stop=stop)
    assert [(game.label, game.score) for game in played] == [(label, score)] * 4
    assert [game.at_fault for game in played] == ["white", "black"] * 2


def test_a_whole_game_of_gnugo_against_itself(tmp_path, gnugo, nothing_left):
    stop = StopRequest()
    games = plan_games(OPENINGS, 4, komi=7.0)
    with GtpPlayer(gnugo, stop=stop) as one, GtpPlayer(gnugo, stop=stop) as other:
        assert one.name.startswith("GNU Go 3.8")
        played = play(one, other, games, tmp_path, stop=stop)
    check_voids(played, remedy="")
    assert {game.label for game in played} <= {Label.SCORE, Label.RESIGN}
    counted = [game for game in played if game.label == Label.SCORE]
    assert counted and all(set(game.claims) == {"black", "white"} for game in counted)
    assert set(summarize(played)["final_score"]) == {"agrees"}


def test_gnugo_beats_a_random_player_by_the_rules(tmp_path, gnugo, nothing_left, random_player):
    stop = StopRequest()
    games = plan_games(OPENINGS, 4, komi=7.0)
    with GtpPlayer(gnugo, stop=stop) as engine:
        played = play(engine, random_player("random"), games, tmp_path, stop=stop)
    assert all(game.label in (Label.SCORE, Label.CAP) and game.score == 1 for game in played)
    assert summarize(played)["final_score"].get("other_winner") is None
