"""An engine's game: set up, read back, followed; refusals and strangers are told apart."""

import sys

import pytest

from retrieve_rl.errors import MissingDependencyError, UsageError
from retrieve_rl.go import gtp_engine
from retrieve_rl.go.endings import EngineFault, Label
from retrieve_rl.go.gtp_engine import GtpEngine, TimeLimits, parse_command
from retrieve_rl.go.gtp_player import GtpPlayer
from retrieve_rl.go.points import moves_of, text_of
from retrieve_rl.signals import StopRequest

PATIENT = TimeLimits(command=60.0)
HASTY = TimeLimits(command=1.0, move=0.25)


@pytest.fixture
def start(fake_engine, nothing_left):
    """start("play:1:hang"): such an engine with a new game of komi 7."""
    engines = []

    def make(*arguments, limits=PATIENT):
        engine = GtpEngine(fake_engine.arguments(*arguments), limits, stop=StopRequest())
        engines.append(engine)
        engine.new_game(7.0)
        return engine

    yield make
    for engine in engines:
        engine.quit()


def test_a_game_is_followed(start):
    engine = start()
    assert (engine.name, engine.version) == ("Fake", "1")
    assert engine.genmove() == "A1"
    engine.follow(moves_of("A1 C1"))
    assert engine.genmove() == "E1"
    assert text_of(engine.moves) == "A1 C1 E1"
    engine.new_game(6.5)
    assert engine.moves == b""
    engine.follow(moves_of("B2 A1 pass"))
    assert engine.genmove() == "C1"


def test_a_late_move_is_time_and_another_late_answer_a_stall(start):
    assert HASTY.overdue == 1.5
    for fault, label in (("genmove:1:hang", Label.TIME), ("play:1:hang", Label.STALL)):
        engine = start(fault, limits=HASTY)
        with pytest.raises(EngineFault) as error:
            engine.follow(moves_of("B2"))
            engine.genmove()
        assert error.value.fault.label == label and not engine.alive


@pytest.mark.parametrize(
    "fault, story",
    [
        ("play:2:refuse:illegal move", "'play w D4': 'illegal move'"),
        ("genmove:1:refuse:out of memory", "'genmove b': 'out of memory'"),
        ("boardsize:1:refuse:19 only", "'boardsize 9': '19 only'"),
        ("query_boardsize:1:say:19", "'query_boardsize': '19, 9 was set'"),
        ("get_komi:1:say:5.5", "'get_komi': '5.5, 7 was set'"),
        ("get_komi:1:say:many", "'get_komi': 'many, 7 was set'"),
    ],
)
def test_a_refusal_is_an_engine_error(start, fault, story):
    with pytest.raises(EngineFault) as error:
        engine = start(fault)
        engine.follow(moves_of("B2 D4"))
        engine.genmove()
    assert error.value.fault.label == Label.ENGINE_ERROR and story in error.value.fault.detail


def test_rules_are_set_where_the_engine_knows_the_command(start):
    with pytest.raises(EngineFault, match="'kgs-rules chinese': 'never heard'"):
        start("--also", "kgs-rules", "kgs-rules:1:refuse:never heard")


def test_an_engine_that_would_pass_is_asked_to_take_dead_stones_off(start):
    cleanup = ("--also", "undo", "--also", "kgs-genmove_cleanup")
    engine = start("--moves", "0", *cleanup)
    assert engine.genmove() == "A1"
    engine.follow(moves_of("A1 pass"))
    # Nothing is left to take off.
    assert engine.genmove() == "PASS" and text_of(engine.moves) == "A1 pass pass"
    assert start("--moves", "0", *cleanup[2:]).genmove() == "PASS"


@pytest.mark.parametrize(
    "faults",
    [("undo:1:hang",), ("genmove:1:late:1.0", "kgs-genmove_cleanup:1:late:1.0")],
)
def test_taking_dead_stones_off_has_the_time_that_is_left_of_the_move(start, faults):
    cleanup = ("--also", "undo", "--also", "kgs-genmove_cleanup")
    engine = start("--moves", "0", *cleanup, *faults, limits=HASTY)
    with pytest.raises(EngineFault) as error:
        engine.genmove()
    assert error.value.fault.label == Label.TIME and not engine.alive


def test_the_final_score_is_asked_where_it_is_known(start):
    assert start("final_score:1:say:B+3.5").final_score() == "B+3.5"
    engine = start()
    assert engine.final_score() is None and engine.alive


def test_a_command_line_is_read_as_a_shell_reads_it(tmp_path, monkeypatch):
    assert parse_command(f"{sys.executable} -t '=10 00'") == (sys.executable, "-t", "=10 00")
    for broken in ("", "  ", "gnugo 'one"):
        with pytest.raises(UsageError):
            parse_command(broken)
    program = tmp_path / "gnu-go"
    program.touch(mode=0o755)
    with pytest.raises(MissingDependencyError, match="'gnu-go' is not there"):
        parse_command("gnu-go --mode gtp")
    monkeypatch.setattr(gtp_engine, "_MORE_FOLDERS", (str(tmp_path / "none"), str(tmp_path)))
    assert parse_command("gnu-go --mode gtp") == (str(program), "--mode", "gtp")


@pytest.mark.parametrize(
    "name, script, story",
    [
        ("pachi", "echo Loading level 1", "Debian is another program.*github.com/pasky/pachi"),
        ("other", "echo Loading level 1", "is no engine that can play: protocol: .*Loading"),
        ("pachi", "exit 1", "crash.*Debian is another program"),
    ],
)
def test_a_program_that_is_no_engine_is_told_so(tmp_path, nothing_left, name, script, story):
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(MissingDependencyError, match=story) as error:
        GtpPlayer(str(program), stop=StopRequest())
    assert error.value.exit_code == 3
    assert (name == "pachi") == ("Debian" in str(error.value))
