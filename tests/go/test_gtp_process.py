"""Whatever a process does, the label is right, the wait bounded, and nothing is left behind."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.go.endings import EngineFault, Label
from retrieve_rl.go.gtp_process import MAX_ANSWER_BYTES, Answer, GtpProcess
from retrieve_rl.signals import StopRequest

PATIENCE = 60.0
"""Seconds for what does answer, however busy the machine."""


@pytest.fixture
def start(fake_engine, nothing_left):
    """start("name:1:hang"): such a fake engine, which has answered once."""
    processes = []

    def make(*arguments, stop=None):
        process = GtpProcess(fake_engine.arguments(*arguments), stop=stop or StopRequest())
        processes.append(process)
        assert process.ask("protocol_version", PATIENCE) == Answer(True, "2")
        return process

    yield make
    for process in processes:
        process.kill()


def fault_of(process, command="name", seconds=PATIENCE, **options):
    with pytest.raises(EngineFault) as error:
        process.ask(command, seconds, **options)
    assert not process.alive
    return error.value.fault


def test_answers_are_read_whole(start):
    process = start()
    assert process.ask("name", PATIENCE) == Answer(True, "Fake")
    assert process.ask("clear_board", PATIENCE) == Answer(True, "")
    assert process.ask("what", PATIENCE) == Answer(False, "unknown command")
    assert "genmove\nquit\n" in process.ask("list_commands", PATIENCE).text
    process.quit()
    assert not process.alive


@pytest.mark.parametrize(
    "raw, text",
    [
        ("=2 a\\tb \\r\\n\\r\\n", "a b"),
        ("\\n\\n=2\\n\\n", ""),
        ("=2\\tE5\\n\\n", "E5"),
        ("=2 one\\ntwo\\n\\n", "one\ntwo"),
        ("=2 \\x07a\\x00\\n\\n", "a"),
    ],
)
def test_framing_is_read_as_the_protocol_says(start, raw, text):
    assert start(f"name:1:raw:{raw}").ask("name", PATIENCE) == Answer(True, text)


@pytest.mark.parametrize(
    "action, label, story",
    [
        ("raw:hello\\n\\n", Label.PROTOCOL, "'hello' is no answer"),
        ("raw:= A1\\n\\n", Label.PROTOCOL, "no answer with an id"),
        ("raw:=2A1\\n\\n", Label.PROTOCOL, "no answer with an id"),
        ("raw:=2 \\xe9\\n\\n", Label.PROTOCOL, "not ASCII"),
        ("raw:=9999999999 A1\\n\\n", Label.PROTOCOL, "no answer with an id"),
        ("line:100000", Label.PROTOCOL, "a line of more than 65536 bytes"),
        ("line:10000000", Label.PROTOCOL, "a line of more than 65536 bytes"),
        ("endless", Label.PROTOCOL, f"an answer of more than {MAX_ANSWER_BYTES} bytes"),
        ("id:-1", Label.DESYNC, "it answers command 1, asked was 2"),
        ("id:5", Label.DESYNC, "it answers command 7, asked was 2"),
        ("exit:0", Label.CRASH, "it exited with 0"),
        ("exit:3", Label.CRASH, "it exited with 3; the end of its stderr: I am leaving"),
        ("signal", Label.CRASH, "it ended by signal 9"),
        ("close", Label.CRASH, "it closed its output"),
        ("orphan", Label.CRASH, "it exited with 0; the end of its stderr: child"),
    ],
)
def test_a_fault_has_its_label_and_its_story(start, action, label, story):
    fault = fault_of(start(f"name:1:{action}"))
    assert fault.label == label and story in fault.detail and "'name'" in fault.detail


@pytest.mark.parametrize("action", ["hang", "half", "late:60", "breathless", "child"])
@pytest.mark.parametrize("late", [Label.STALL, Label.TIME])
def test_a_late_answer_is_not_waited_for(start, action, late):
    process = start(f"name:1:{action}")
    began = time.monotonic()
    fault = fault_of(process, seconds=0.3, late=late)
    assert 0.3 < time.monotonic() - began < 5
    assert fault.label == late and "no answer to 'name' within 0.3 s" in fault.detail


@pytest.mark.parametrize("action, seconds", [("child", 0.3), ("orphan", PATIENCE)])
def test_what_it_started_dies_with_it(start, action, seconds):
    fault = fault_of(start(f"name:1:{action}"), seconds=seconds)
    child = int(re.search(r"child (\d+)", fault.detail)[1])
    deadline = time.monotonic() + PATIENCE
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(process):
    """Whether it runs; a zombie, left for the system to collect, does not."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_an_answer_too_many_is_noticed_at_the_next_command(start):
    process = start("name:1:twice")
    assert process.ask("name", PATIENCE) == Answer(True, "Fake")
    assert fault_of(process, "version").label == Label.DESYNC


def test_an_answer_before_the_end_counts(start):
    process = start("name:1:last")
    assert process.ask("name", PATIENCE) == Answer(True, "Fake")
    assert fault_of(process).label == Label.CRASH
    assert "had ended" in fault_of(process).detail


def test_stderr_is_drained(start):
    process = start("name:1:shout:1000000", "version:1:exit:1")
    assert process.ask("name", PATIENCE) == Answer(True, "Fake")
    fault = fault_of(process, "version")
    assert fault.detail.endswith("x I am leaving") and len(fault.detail) < 400


def test_a_process_that_reads_nothing_is_noticed(nothing_left):
    talker = "import time\nfor n in range(1, 99): print(f'={n}\\n', flush=True)\ntime.sleep(600)"
    process = GtpProcess([sys.executable, "-I", "-S", "-c", talker], stop=StopRequest())
    with pytest.raises(EngineFault) as error:
        for _ in range(99):
            process.ask("x" * 4000, PATIENCE)
    assert error.value.fault.label == Label.STALL and not process.alive


def test_a_program_that_cannot_be_started(nothing_left, tmp_path):
    for program in (str(tmp_path), str(tmp_path / "none"), "\0"):
        with pytest.raises(EngineFault, match="crash: .* cannot be started"):
            GtpProcess([program], stop=StopRequest())


def test_a_signal_ends_the_wait(start):
    stop = StopRequest()
    process = start("name:1:hang", stop=stop)
    stop.signal_number = 15
    with pytest.raises(Interrupted):
        process.ask("name", PATIENCE)
    assert not process.alive


def test_a_process_that_does_not_quit_is_killed(start):
    process = start("quit:1:hang")
    began = time.monotonic()
    process.quit()
    process.quit()
    assert not process.alive and time.monotonic() - began < 10
