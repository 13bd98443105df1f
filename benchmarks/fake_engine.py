"""An engine that plays by a list and fails on command: `fake_engine.py genmove:2:hang`.

Each argument is COMMAND:COUNT:ACTION[:VALUE], what to do instead of answering the COUNT-th such
command of the process. Without any it is a sound engine: it takes free points of every second row
and column, so that nothing is ever captured, and passes once it has made `--moves N` (4) moves in a
game. `--also COMMAND` names one more command it knows: undo, kgs-rules, or kgs-genmove_cleanup, by
which it makes one more move than it would. `--seed N` is its seed, which it only tells.
"""

import os
import signal
import sys
import time

COLUMNS = "ABCDEFGHJ"
POINTS = [f"{column}{row}" for row in range(1, 10, 2) for column in COLUMNS[::2]]
COMMANDS = ["name", "version", "protocol_version", "list_commands", "boardsize", "clear_board"]
COMMANDS += ["komi", "query_boardsize", "get_komi", "play", "genmove", "quit"]


class Engine:
    def __init__(self, arguments: list[str]) -> None:
        self.num_moves, self.seed, self.also = 4, "", ["final_score"]
        self.faults: dict[tuple[str, int], list[str]] = {}
        arguments = list(arguments)
        while arguments:
            one = arguments.pop(0)
            if one == "--moves":
                self.num_moves = int(arguments.pop(0))
            elif one == "--also":
                self.also.append(arguments.pop(0))
            elif one == "--seed":
                self.seed = arguments.pop(0)
            else:
                command, count, *action = one.split(":")
                self.faults[command, int(count)] = action
        self.counts: dict[str, int] = {}
        self.to_clean = 1
        self.clear()
        self.komi = "0"

    def clear(self) -> None:
        self.taken: list[str] = []
        self.made = 0

    def answer(self, number: str, command: str, values: list[str]) -> str:
        """The whole answer, sent as it is."""
        self.counts[command] = self.counts.get(command, 0) + 1
        action = self.faults.get((command, self.counts[command]))
        if action:
            return misbehave(number, action[0], ":".join(action[1:]), self, command, values)
        return self.proper_answer(number, command, values)

    def proper_answer(self, number: str, command: str, values: list[str]) -> str:
        text = ""
        if command == "name":
            text = "Fake"
        elif command == "version":
            text = f"1.{self.seed}" if self.seed else "1"
        elif command == "protocol_version":
            text = "2"
        elif command == "list_commands":
            text = "\n".join([*COMMANDS, *self.also])
        elif command == "query_boardsize":
            text = "9"
        elif command == "clear_board":
            self.clear()
        elif command == "komi":
            self.komi = values[0]
        elif command == "get_komi":
            text = self.komi
        elif command == "play":
            self.taken.append(values[1].upper())
        elif command == "genmove":
            text = self.genmove()
        elif command == "undo":
            self.made -= 1
        elif command == "kgs-genmove_cleanup":
            self.num_moves += self.to_clean
            self.to_clean = 0
            text = self.genmove()
        elif command not in ("boardsize", "quit", "kgs-rules"):
            return f"?{number} unknown command\n\n"
        return f"={number} {text}\n\n"

    def genmove(self) -> str:
        self.made += 1
        free = [point for point in POINTS if point not in self.taken]
        if self.made > self.num_moves or not free:
            return "PASS"
        self.taken.append(free[0])
        return free[0]


def misbehave(
    number: str, action: str, value: str, engine: Engine, command: str, values: list[str]
) -> str:
    """Does something else than answering, or answers in another way."""
    proper = engine.proper_answer(number, command, values)
    if action == "say":
        return f"={number} {value}\n\n"
    if action == "refuse":
        return f"?{number} {value}\n\n"
    if action == "raw":
        return value.encode().decode("unicode_escape")
    if action == "line":
        return "x" * int(value)
    if action == "id":
        return f"={int(number) + int(value)} A1\n\n"
    if action == "twice":
        return proper + proper
    if action == "late":
        time.sleep(float(value))
        return proper
    if action == "shout":
        sys.stderr.write("x" * int(value) + "\n")
        sys.stderr.flush()
        return proper
    if action == "last":
        write(proper)
        os._exit(0)
    if action == "half":
        write(f"={number} A1")
        action = "hang"
    if action == "endless":
        write(f"={number} A1\n")
        while True:
            write("still talking\n" * 1000)
    if action == "breathless":
        while True:
            write("\n" * 1000)
    if action == "close":
        os.close(1)
        action = "hang"
    if action in ("orphan", "child"):
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
        sys.stderr.write(f"child {child}\n")
        sys.stderr.flush()
        action, value = ("exit", "0") if action == "orphan" else ("hang", "")
    if action == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "exit":
        sys.stderr.write("I am leaving\n")
        sys.stderr.flush()
        os._exit(int(value))
    if action == "hang":
        time.sleep(600)
    raise SystemExit(f"no such action: {action}")


def write(text: str) -> None:
    os.write(1, text.encode("latin-1"))


def main() -> None:
    engine = Engine(sys.argv[1:])
    for line in sys.stdin:
        number, _, rest = line.strip().partition(" ")
        if not number.isdigit():
            number, rest = "", line.strip()
        command, *values = rest.split()
        write(engine.answer(number, command, values))
        if command == "quit":
            break


if __name__ == "__main__":
    main()
