"""Progress goes to stderr, in lines or bars, or nowhere."""

import pytest

from retrieve_rl import progress
from retrieve_rl.progress import Reporter


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.mark.parametrize("verbosity, lines", [(-1, []), (0, ["a"]), (1, ["a", "b"])])
def test_verbosity(capsys, verbosity, lines):
    reporter = Reporter(verbosity=verbosity)
    reporter.say("a")
    reporter.detail("b")
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == lines


def test_lines_come_every_ten_seconds_with_the_time_left(capsys, clock):
    with Reporter().track("work", 100) as advance:
        for second in range(1, 21):
            clock.now = float(second)
            advance(second)
        clock.now = 100.0
        advance(100)
    assert capsys.readouterr().err.splitlines() == [
        "work: 10/100, about 90 s left",
        "work: 20/100, about 80 s left",
        "work: 100/100, 100 s",
    ]


def test_the_time_left_counts_only_what_this_process_did(capsys, clock):
    with Reporter().track("work", 100, start=80) as advance:
        clock.now = 10.0
        advance(90)
    assert "about 10 s left" in capsys.readouterr().err


def test_nothing_done_yet_is_no_division_by_zero(capsys, clock):
    with Reporter().track("work", 10) as advance:
        clock.now = 20.0
        advance(0)
    assert "0/10" in capsys.readouterr().err


def test_silence(capsys):
    with Reporter(verbosity=-1, bars=True).track("work", 2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_bars_are_drawn_on_stderr(capsys):
    with Reporter(bars=True).track("work", 4, start=1) as advance:
        advance(4)
    out, err = capsys.readouterr()
    assert out == "" and "work" in err and "4/4" in err
