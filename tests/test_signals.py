"""The first signal asks for a stop, the second one ends the process."""

import signal
import subprocess
import sys

import pytest

from retrieve_rl.errors import Interrupted
from retrieve_rl.signals import StopRequest, stop_on_signals


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_becomes_a_request(number, code):
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        stop.raise_if_requested("nothing")
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(Interrupted, match=f"{number.name}; all of it") as error:
            stop.raise_if_requested("all of it")
    assert error.value.exit_code == code
    assert signal.getsignal(number) == before


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError):
        with stop_on_signals():
            raise RuntimeError
    assert signal.getsignal(signal.SIGTERM) == before


def test_nothing_is_asked_at_first():
    assert not StopRequest().requested


def test_the_second_signal_ends_the_process():
    code = (
        "import signal; from retrieve_rl.signals import stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        "    signal.raise_signal(signal.SIGTERM); print('asked', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM); print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGTERM and done.stdout == "asked\n"
