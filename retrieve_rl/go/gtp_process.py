"""A process that answers commands of the Go Text Protocol (version 2), and is never trusted.

Its pipes are read in the thread that waits, until a deadline: an engine that is silent, talks
without end or leaves a child behind that holds its pipes cannot keep that thread, and nothing of it
is left when it is killed. Reference: G. Farnebaeck, "Specification of the Go Text Protocol,
version 2, draft 2", 2002.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO, NamedTuple, NoReturn

from retrieve_rl.go.endings import EngineFault, Label
from retrieve_rl.signals import StopRequest

MAX_LINE_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 1024 * 1024
_READ_BYTES = 4096
_LAST_WORDS_BYTES = 4096
_LAST_READS = 16  # what a pipe holds
_SHOWN = 200
# How long one look at the pipes takes at most: signals and an exit that closes no pipe are seen
# between two looks.
_LOOK_SECONDS = 0.1
_FAREWELL_SECONDS = 0.5

_STATUS_LINE = re.compile(r"([=?])(\d{0,9})(?:[ \t](.*))?")
_CONTROL_CHARACTERS = {code: None for code in (*range(9), *range(11, 32), 127)} | {9: " "}


class Answer(NamedTuple):
    """What an engine says to a command.

    Attributes:
      success: False where it refuses.
      text: its lines, without the id.
    """

    success: bool
    text: str


class GtpProcess:
    """An engine's process, asked one command at a time. Any fault kills it and what it started.

    Attributes:
      alive: False once it has been killed, or has quit.
    """

    def __init__(self, arguments: Sequence[str], *, stop: StopRequest) -> None:
        """Starts the process as the leader of a group of its own.

        Raises:
          EngineFault: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise EngineFault(Label.CRASH, f"{arguments[0]} cannot be started: {error}") from None
        self._stop = stop
        self.alive = True
        self._number = 0
        self._unread = bytearray()
        self._last_words = bytearray()
        self._stdin, self._stdout, self._stderr = (
            _opened(pipe)
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
        self._pipes = select.poll()
        for pipe in (self._stdout, self._stderr):
            self._pipes.register(pipe, select.POLLIN)

    def ask(self, command: str, seconds: float, *, late: Label = Label.STALL) -> Answer:
        """Sends a command and waits for its answer.

        Args:
          command: without an id; one line.
          seconds: how long the answer may take.
          late: the label where it takes longer.

        Raises:
          EngineFault: `late`, CRASH, PROTOCOL or DESYNC; the process is dead then.
          Interrupted: a signal asked to stop; the process is dead then, too.
        """
        if not self.alive:
            raise EngineFault(Label.CRASH, f"{command!r} was sent to an engine that had ended")
        self._number += 1
        deadline = time.monotonic() + seconds
        try:
            self._send(f"{self._number} {command}\n".encode("ascii"))
            return self._answer(deadline)
        except _Overdue:
            self.kill()
            self._fail(late, f"no answer to {command!r} within {seconds:g} s")
        except _Fault as fault:
            self.kill()
            self._fail(fault.label, f"after {command!r}: {fault.detail}")
        except BaseException:
            self.kill()
            raise

    def quit(self) -> None:
        """Asks the engine to end, and makes sure of it."""
        if self.alive:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                os.write(self._stdin.fileno(), b"quit\n")
                self._process.wait(_FAREWELL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kills the process with its group and closes its pipes; nothing if it was done before."""
        if not self.alive:
            return
        self.alive = False
        # macOS says EPERM where only the unreaped leader is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for _ in range(_LAST_READS):
            self._hear_stderr()
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()

    def _send(self, line: bytes) -> None:
        try:
            os.write(self._stdin.fileno(), line)
        except BlockingIOError:
            raise _Overdue from None  # it has not read for thousands of commands
        except OSError:
            pass  # it has ended: what it said before is still to be read

    def _answer(self, deadline: float) -> Answer:
        """Reads up to the empty line that ends an answer; empty lines before it do not count."""
        while not (line := self._line(deadline)):
            pass
        success, text = self._status(line)
        lines, size = [text], len(text)
        while line := self._line(deadline):
            lines.append(line)
            size += len(line)
            if size > MAX_ANSWER_BYTES:
                raise _Fault(Label.PROTOCOL, f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        return Answer(success, "\n".join(lines).strip())

    def _status(self, line: str) -> tuple[bool, str]:
        """The first line of an answer, its id checked and taken off."""
        found = _STATUS_LINE.fullmatch(line)
        if found is None or not found[2]:
            raise _Fault(Label.PROTOCOL, f"{line[:_SHOWN]!r} is no answer with an id")
        if int(found[2]) != self._number:
            raise _Fault(Label.DESYNC, f"it answers command {found[2]}, asked was {self._number}")
        return found[1] == "=", found[3] or ""

    def _line(self, deadline: float) -> str:
        while True:
            end = self._unread.find(b"\n")
            if end < 0 and len(self._unread) <= MAX_LINE_BYTES:
                self._receive(deadline)
                continue
            if not 0 <= end <= MAX_LINE_BYTES:
                raise _Fault(Label.PROTOCOL, f"a line of more than {MAX_LINE_BYTES} bytes")
            raw = bytes(self._unread[:end])
            del self._unread[: end + 1]
            try:
                return raw.decode("ascii").translate(_CONTROL_CHARACTERS)
            except UnicodeDecodeError:
                raise _Fault(Label.PROTOCOL, f"{raw[:_SHOWN]!r} is not ASCII") from None

    def _receive(self, deadline: float) -> None:
        """Waits for output and takes it in."""
        while True:
            self._stop.raise_if_requested("an engine was being waited for")
            left = deadline - time.monotonic()
            if left <= 0:
                raise _Overdue
            exited = self._process.poll() is not None
            ready = [pipe for pipe, _ in self._pipes.poll(1000 * min(left, _LOOK_SECONDS))]
            if self._stderr.fileno() in ready and not self._hear_stderr():
                self._pipes.unregister(self._stderr)
            if self._stdout.fileno() in ready:
                data = os.read(self._stdout.fileno(), _READ_BYTES)
                if not data:
                    raise _Fault(Label.CRASH, self._way_it_ended())
                self._unread += data
                return
            if exited:  # a child of it holds the pipe
                raise _Fault(Label.CRASH, self._way_it_ended())

    def _hear_stderr(self) -> bool:
        """Takes in what is there, and keeps its end; False once there will be no more."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._stderr.fileno(), _READ_BYTES)
            self._last_words += data
            del self._last_words[:-_LAST_WORDS_BYTES]
            return bool(data)
        return True

    def _way_it_ended(self) -> str:
        try:
            code = self._process.wait(_FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        return f"it exited with {code}" if code >= 0 else f"it ended by signal {-code}"

    def _fail(self, label: Label, story: str) -> NoReturn:
        text = self._last_words.decode("utf-8", "replace")
        words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if words:
            story += f"; the end of its stderr: {words[-_SHOWN:]}"
        raise EngineFault(label, story) from None


class _Overdue(Exception):
    """The deadline has passed."""


class _Fault(Exception):
    """What an engine did; the story still lacks its last words."""

    def __init__(self, label: Label, detail: str) -> None:
        self.label, self.detail = label, detail


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
