"""Progress goes to stderr, in lines or bars, or nowhere."""

import pytest

from retrieve_rl import progress
from retrieve_rl.progress import Reporter, Tally, in_words


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


@pytest.mark.parametrize(
    "verbosity, traces, lines",
    [(-1, False, []), (0, False, ["a"]), (1, False, ["a", "b"]), (-1, True, ["b"])],
)
def test_verbosity(capsys, verbosity, traces, lines):
    reporter = Reporter(verbosity=verbosity, traces=traces)
    reporter.say("a")
    reporter.trace("b")
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


def test_several_things_at_once_are_told_in_lines(capsys):
    with Reporter().tally("cells", 3) as show:
        show(Tally(0, 0, ["a", "b"], None))
        show(Tally(2, 1, ["b"], 600.0))
        show(Tally(3, 1, [], 0.0))
    assert capsys.readouterr().err.splitlines() == [
        "cells: 0/3; running: a, b",
        "cells: 2/3, 1 failed, about 10 min left; running: b",
        "cells: 3/3, 1 failed",
    ]


def test_several_things_at_once_are_drawn_on_stderr_or_not_at_all(capsys):
    for reporter in (Reporter(bars=True), Reporter(verbosity=-1, bars=True)):
        with reporter.tally("cells", 3) as show:
            show(Tally(2, 1, ["one"], 12.0))
        out, err = capsys.readouterr()
        assert out == ""
        if reporter.verbosity == 0:
            assert "cells: 2/3, 1 failed, about 12 s left" in err and "running: one" in err
        else:
            assert err == ""


@pytest.mark.parametrize(
    "seconds, text", [(0.4, "0 s"), (99.0, "99 s"), (720.0, "12 min"), (12600.0, "3.5 h")]
)
def test_times_in_words(seconds, text):
    assert in_words(seconds) == text
