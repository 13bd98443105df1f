"""A thousand short games against an engine that fails in every way we know of.

Each kind of fault has a label and an outcome that must come out of it. The opponent is
`fake_engine.py`; the player makes moves from a list. Counted before and after: processes, zombies,
descriptors, threads.
"""

import argparse
import os
import shlex
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import result_file

from retrieve_rl import artifacts
from retrieve_rl.go.endings import Fault, Label
from retrieve_rl.go.gtp_engine import TimeLimits
from retrieve_rl.go.gtp_player import GtpPlayer
from retrieve_rl.go.match import play_match
from retrieve_rl.go.match_games import PlayedGame, plan_games
from retrieve_rl.go.openings import OpeningSet
from retrieve_rl.go.points import moves_of
from retrieve_rl.go.referee import GameState
from retrieve_rl.progress import Reporter
from retrieve_rl.signals import StopRequest, stop_on_signals

REPOSITORY = Path(__file__).resolve().parent.parent
ENGINE = REPOSITORY / "benchmarks/fake_engine.py"
LIMITS = TimeLimits(start=60.0, command=1.5, move=0.5)
AT_ONCE = 16
KOMI = 7.0


KINDS = {
    Label.SCORE: {
        "sound": "",
        "passes": "--moves 0",
        "a megabyte on stderr": "genmove:2:shout:1000000",
        "silent about the score": "final_score:1:hang",
        "exits when asked for the score": "final_score:1:exit:1",
    },
    Label.RESIGN: {"resigns": "genmove:2:say:resign"},
    Label.TIME: {
        "late move": "genmove:2:late:60",
        "no move": "genmove:2:hang",
        "half a move": "genmove:2:half",
        "empty lines without end": "genmove:2:breathless",
        "no move, and a child": "genmove:2:child",
    },
    Label.ILLEGAL: {
        "occupied point": "genmove:2:say:D4",
        "another board's point": "genmove:2:say:T19",
        "no such column": "genmove:2:say:I5",
        "empty move": "genmove:2:say:",
        "prose": "genmove:2:say:let me think",
    },
    Label.STALL: {"no answer": "play:2:hang", "late answer": "play:2:late:60"},
    Label.CRASH: {
        "exits at a move": "genmove:2:exit:1",
        "exits at a command": "play:2:exit:0",
        "is killed": "genmove:2:signal",
        "closes its output": "genmove:2:close",
        "exits, a child holds the pipes": "genmove:2:orphan",
    },
    Label.PROTOCOL: {
        "junk": "genmove:2:raw:Segmentation fault\\n\\n",
        "no id": "genmove:2:raw:= A1\\n\\n",
        "not ASCII": "genmove:2:raw:=99 \\xe9\\n\\n",
        "line of 100 KB": "genmove:2:line:100000",
        "line of 10 MB": "genmove:2:line:10000000",
        "answer without end": "genmove:2:endless",
    },
    Label.DESYNC: {
        "old id": "genmove:2:id:-1",
        "id to come": "play:2:id:7",
        "two answers": "genmove:1:twice",
    },
    Label.ENGINE_ERROR: {
        "refuses to move": "genmove:2:refuse:cannot move",
        "refuses a legal move": "play:2:refuse:illegal move",
    },
}
"""What the games must be labeled -> what the engine does -> its arguments."""
COUNTED, LOST = (Label.SCORE,), (Label.RESIGN, Label.TIME, Label.ILLEGAL)
"""Labels of games that the board decides, and that the engine loses; all others are void."""


class ListPlayer:
    """Plays points beside which nobody plays: nothing is ever captured."""

    name = "list"
    points = tuple(f"{column}{row}" for row in (2, 4, 6, 8) for column in "BDFH")

    def moves(self, states: Sequence[GameState]) -> list[str | Fault]:
        return [self._move(state) for state in states]

    def ended(self, states: Sequence[GameState]) -> list[str | None]:
        return [None for _ in states]

    def _move(self, state: GameState) -> str:
        made = (len(state.moves) + 1) // 2
        free = [name for name in self.points if state.legal[moves_of(name)[0]]]
        return free[0] if made < 5 else "pass"


class Timed:
    """A player that notes the longest time that moves of it took."""

    def __init__(self, player: GtpPlayer) -> None:
        self.name, self.longest, self._player = player.name, 0.0, player

    def moves(self, states: Sequence[GameState]) -> list[str | Fault]:
        began = time.monotonic()
        try:
            return self._player.moves(states)
        finally:
            self.longest = max(self.longest, time.monotonic() - began)

    def ended(self, states: Sequence[GameState]) -> list[str | None]:
        return self._player.ended(states)


def play_kind(
    arguments: str, num_games: int, folder: Path, stop: StopRequest
) -> tuple[list[PlayedGame], float]:
    """Games against such an engine, and the longest time that moves of it took."""
    # With a seed in the command line every game has a fresh process: faults count from its start.
    engine = shlex.join([sys.executable, "-I", "-S", str(ENGINE), "--seed", "{seed}"])
    fault = arguments if arguments.startswith("--") else shlex.quote(arguments)
    games = plan_games(OpeningSet((moves_of("D4"),)), num_games, komi=KOMI)
    silent = Reporter(verbosity=-1)
    command = f"{engine} {fault}" if arguments else engine
    with GtpPlayer(command, stop=stop, limits=LIMITS, thinking=AT_ONCE) as opponent:
        timed = Timed(opponent)
        played = play_match(
            ListPlayer(), timed, games, folder, at_once=AT_ONCE, reporter=silent, stop=stop
        )
    return played, timed.longest


def is_right(game: PlayedGame, label: Label) -> bool:
    """Whether label, outcome and the side at fault are what they must be."""
    if label in COUNTED:
        return game.label == label and game.margin is not None and game.at_fault is None
    engine = "white" if game.game.player_is_black else "black"
    score = 1.0 if label in LOST else None
    return game.label == label and game.score == score and game.at_fault == engine


def left_behind() -> dict[str, int]:
    """Children, zombies among them, engines anywhere, open descriptors and threads."""
    children = zombies = engines = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        children += int(parent) == os.getpid()
        zombies += int(parent) == os.getpid() and state == "Z"
        engines += str(ENGINE).encode() in command
    return {
        "children": children,
        "zombies": zombies,
        "engines": engines,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


def shares(num_games: int, num_kinds: int) -> list[int]:
    """Games of each kind: pairs, dealt in turn."""
    pairs, more = divmod(num_games // 2, num_kinds)
    return [2 * (pairs + (place < more)) for place in range(num_kinds)]


def measure(num_games: int, stop: StopRequest) -> dict[str, Any]:
    began = time.monotonic()
    reporter = Reporter()
    before = left_behind()
    told: dict[str, Any] = {}
    longest_move = 0.0
    kinds = [(name, label) for label, names in KINDS.items() for name in names]
    dealt = shares(num_games, len(kinds))
    with tempfile.TemporaryDirectory() as folder, reporter.track("games", num_games) as advance:
        for (name, label), share in zip(kinds, dealt, strict=True):
            if share == 0:
                continue
            arguments = KINDS[label][name]
            played, longest = play_kind(arguments, share, Path(folder) / str(len(told)), stop)
            longest_move = max(longest_move, longest)
            told[name] = {
                "engine": arguments,
                "expected": label.value,
                "games": share,
                "found": dict(sorted(Counter(game.label.value for game in played).items())),
                "right": sum(is_right(game, label) for game in played),
            }
            advance(sum(kind["games"] for kind in told.values()))
    after = left_behind()
    return {
        "benchmark": "gtp-faults",
        "what": (__doc__ or "").strip(),
        "summary": {
            "games": sum(kind["games"] for kind in told.values()),
            "kinds": len(told),
            "right": sum(kind["right"] for kind in told.values()),
            "wrong": sum(kind["games"] - kind["right"] for kind in told.values()),
            "zombies": after["zombies"],
            "processes_left": after["children"] + after["engines"],
            "descriptors_before": before["descriptors"],
            "descriptors_after": after["descriptors"],
            "threads_before": before["threads"],
            "threads_after": after["threads"],
            "move_limit_seconds": LIMITS.overdue,
            "longest_move_seconds": round(longest_move, 2),
            "seconds": round(time.monotonic() - began, 1),
        },
        "kinds": told,
        "before": before,
        "after": after,
        **result_file.origin(),
        "cores": os.cpu_count(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=1000)
    default = REPOSITORY / "experiments/results/gtp-faults.json"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE")
    options = parser.parse_args()
    with stop_on_signals() as stop:
        document = measure(options.games, stop)
    for name, value in document["summary"].items():
        print(f"{name:24} {value}")
    artifacts.write_file(options.out, artifacts.to_json(document))


if __name__ == "__main__":
    main()
