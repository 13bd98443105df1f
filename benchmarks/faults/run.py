"""The long form of the tests of faults: counts of what was tried, and of what did not hold.

Two parts at a time, each in a process of its own, which keeps its counts in the work folder: a run
that was broken off goes on with the parts that are not whole; delete the folder to begin anew.
Exits 1 where something did not hold.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
from artifacts_to_damage import SCENES
from damage import cut_files, flip_bits
from fuzz import fuzz
from inputs import COMMANDS
from installs import Install, find_python, install
from kills import kill_often
from pairings import PAIRINGS, mix_runs
from parsers import PARSERS
from soak import grown, per_round, soak
from sweep import sweep
from writers import write_at_once

from retrieve_rl.documents import read_json, to_json
from retrieve_rl.durable import write_file

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "experiments/results"
WRITERS = 8
QUICK = (
    *("exact index", "ScaNN index", "index replaced", "index grown"),
    *("data imported", "data imported anew"),
)
KILLED = ("ScaNN index", "data imported", "train-policy", "evaluate", "ablate", "Go: train-policy")
WRITTEN_AT_ONCE = ("exact index", "data imported", "train-policy")
LANES = 2


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
      every: of the calls that change the disk, each so-manieth is struck.
      every_of_training: the same for commands that train, which take seconds each time.
      examples: for each parser.
      flips: in all artifacts together.
      rounds: of writers, for each command.
      kills: of each command.
      soak_seconds: after which no round of the soak begins.
      pythons: versions to install with.
    """

    every: int
    every_of_training: int
    examples: int
    flips: int
    rounds: int
    kills: int
    soak_seconds: float
    pythons: tuple[str, ...]


FULL = Scale(
    every=1,
    every_of_training=9,
    examples=10_000,
    flips=1000,
    rounds=7,
    kills=25,
    soak_seconds=900,
    pythons=("3.11", "3.12", "3.13"),
)
TINY = Scale(
    every=40,
    every_of_training=100,
    examples=20,
    flips=18,
    rounds=1,
    kills=1,
    soak_seconds=10,
    pythons=(),
)
"""No environment is made in less than a minute."""


def sweeps(scale: Scale, folder: Path) -> dict[str, Any]:
    """Calls that change the disk fail once, and are once the last one of their process."""
    counts = {
        name: sweep(command, folder / name.replace(":", ""), every=_every(name, scale))
        for name, command in COMMANDS.items()
    }
    return {
        "strikes": sum(found.struck for found in counts.values()),
        "by_command": {name: found.struck for name, found in counts.items()},
        "wrong": [story for found in counts.values() for story in found.wrong],
    }


def _every(name: str, scale: Scale) -> int:
    return scale.every if name in QUICK else scale.every_of_training


def parsers(scale: Scale, folder: Path) -> dict[str, Any]:
    """Each parser in a process of its own, which a native reader may end."""
    wrong = []
    for name in PARSERS:
        words = [sys.executable, str(Path(__file__)), "--parser", name, str(scale.examples)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            wrong.append(f"{name}: exit {done.returncode}: {done.stderr[-1000:]}")
    tried = scale.examples * len(PARSERS)
    return {"fuzz_inputs": tried, "parsers": sorted(PARSERS), "wrong": wrong}


def damages(scale: Scale, folder: Path) -> dict[str, Any]:
    """Flipped bits and cut files over artifacts of every kind."""
    flips, cuts = [], []
    for number, scene in enumerate(SCENES.values()):
        place = folder / str(number)
        place.mkdir(parents=True)
        scene.make(place)

        def read(place: Path = place, of: Callable[[Path], object] = scene.read) -> object:
            return of(place)

        flips.append(flip_bits(place / scene.part, read, -(-scale.flips // len(SCENES))))
        cuts.append(cut_files(place / scene.part, read))
    return {
        "flips_tried": sum(found.tried for found in flips),
        "flips_noticed_before_native_code": sum(found.noticed for found in flips),
        "truncations_tried": sum(found.tried for found in cuts),
        "truncations_noticed_before_native_code": sum(found.noticed for found in cuts),
        "kinds": list(SCENES),
        "wrong": [story for found in (*flips, *cuts) for story in found.wrong],
    }


def pairings(scale: Scale, folder: Path) -> dict[str, Any]:
    """Parts of another run, sound by themselves."""
    found = [mix_runs(name, folder / str(number)) for number, name in enumerate(PAIRINGS)]
    return {
        "wrong_pairings_tried": sum(one.tried for one in found),
        "wrong_pairings_refused": sum(one.noticed for one in found),
        "wrong": [story for one in found for story in one.wrong],
    }


def writers(scale: Scale, folder: Path) -> dict[str, Any]:
    """Eight processes at once, again and again."""
    rounds = [
        write_at_once(COMMANDS[name], folder / f"{name} {number}", WRITERS)
        for name in WRITTEN_AT_ONCE
        for number in range(scale.rounds)
    ]
    return {
        "rounds": len(rounds),
        "writers": WRITERS * len(rounds),
        "finished": sum(found.finished for found in rounds),
        "refused": sum(found.refused for found in rounds),
        "wrong": [story for found in rounds for story in found.wrong],
    }


def kills(scale: Scale, folder: Path) -> dict[str, Any]:
    """kill -9 at moments drawn over the work of a command."""
    found = [
        kill_often(COMMANDS[name], folder / name.replace(":", ""), scale.kills) for name in KILLED
    ]
    return {
        "kills_tried": sum(one.tried for one in found),
        "killed_at_work": sum(one.killed for one in found),
        "states_unreadable": sum(one.unreadable for one in found),
        "commands": list(KILLED),
        "wrong": [story for one in found for story in one.wrong],
    }


def soaks(scale: Scale, folder: Path) -> dict[str, Any]:
    """Round after round in one process."""
    held = soak(folder, scale.soak_seconds)
    return {
        "soak_rounds": len(held),
        "soak_descriptors_gained": held[-1].descriptors - held[0].descriptors,
        "soak_allocated_kib_per_round": round(per_round(held, "allocated_kib"), 1),
        "soak_python_blocks_per_round": round(per_round(held, "python_blocks"), 1),
        "soak_kib_per_round": round(per_round(held, "resident_kib"), 1),
        "first": asdict(held[0]),
        "last": asdict(held[-1]),
        "wrong": grown(held),
    }


def installs(scale: Scale, folder: Path) -> dict[str, Any]:
    """Fresh environments, outside the checkout, which would be seen from within it."""
    measured: dict[str, Install] = {}
    missing, wrong = [], []
    for version in scale.pythons:
        python = find_python(version)
        if python is None:
            missing.append(version)
            continue
        with TemporaryDirectory() as place:
            try:
                measured[version] = install(python, REPOSITORY, Path(place))
            except RuntimeError as error:
                wrong.append(f"Python {version}: {error}")
    return {
        "pythons_tried": len(scale.pythons) - len(missing),
        "pythons_right": len(measured),
        "python_not_found": missing,
        "longest_smoke_seconds": max((one.smoke_seconds for one in measured.values()), default=0),
        "by_version": {version: asdict(one) for version, one in measured.items()},
        "wrong": wrong,
    }


def engines(scale: Scale, folder: Path) -> dict[str, Any]:
    """What `gtp_faults.py` found; it has a file of its own."""
    measured = read_json(RESULTS / "gtp-faults.json")
    kinds = measured["kinds"].values()
    games, right = sum(kind["games"] for kind in kinds), sum(kind["right"] for kind in kinds)
    wrong = [] if games == right else [f"{games - right} games got a wrong label"]
    return {"engine_faults": games, "engine_faults_right": right, "wrong": wrong}


PARTS: dict[str, Callable[[Scale, Path], dict[str, Any]]] = {
    "sweeps": sweeps,
    "kills": kills,
    "soak": soaks,
    "parsers": parsers,
    "installs": installs,
    "writers": writers,
    "damages": damages,
    "pairings": pairings,
    "engines": engines,
}
"""The long ones first, so that both lanes end at about the same time."""


def carry_out(part: str, scale: Scale, work: Path) -> dict[str, Any]:
    """The counts of a part: those in the work folder, if they are of this scale, or new ones."""
    told = json.loads(to_json(asdict(scale)))
    kept = work / f"{part}.json"
    if kept.exists() and (counts := read_json(kept))["scale"] == told:
        return counts
    kept.unlink(missing_ok=True)
    folder = work / part
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    counts = {"scale": told, **PARTS[part](scale, folder)}
    counts["minutes"] = round((time.monotonic() - began) / 60, 2)
    shutil.rmtree(folder, ignore_errors=True)
    write_file(kept, to_json(counts))
    return counts


def in_lanes(parts: Sequence[str], words: Sequence[str]) -> bool:
    """Runs this program for each part, so many at a time; whether everything held."""

    def run(part: str) -> bool:
        done = subprocess.run(
            [sys.executable, __file__, part, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        print(done.stdout, end="", flush=True)
        return done.returncode == 0

    with ThreadPoolExecutor(LANES) as lanes:
        return all(list(lanes.map(run, parts)))


def write_result(out: Path, found: dict[str, dict[str, Any]]) -> None:
    """The document of all parts."""
    summary = {
        name: count
        for counts in found.values()
        for name, count in counts.items()
        if isinstance(count, int | float) and name != "minutes"
    }
    wrong = sum(len(counts["wrong"]) for counts in found.values())
    document = {"benchmark": "faults", "summary": {**summary, "wrong": wrong}, "parts": found}
    write_file(out, to_json(document))
    print(out)


def tell(part: str, counts: dict[str, Any]) -> None:
    print(f"{part}: {json.dumps({k: v for k, v in counts.items() if k not in ('wrong', 'scale')})}")
    for story in counts["wrong"]:
        print(f"  wrong: {story}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", choices=[*PARTS, []], help="by default all")
    options.add_argument("--work", type=Path, default=REPOSITORY / "runs/faults")
    options.add_argument("--out", type=Path, default=RESULTS / "faults.json")
    options.add_argument("--tiny", action="store_true", help="a little of everything, to try it")
    options.add_argument(
        "--python",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="where an interpreter lies that is not on the PATH; may be repeated",
    )
    options.add_argument("--parser", nargs=2, metavar=("NAME", "EXAMPLES"), help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.parser:
        fuzz(PARSERS[asked.parser[0]], int(asked.parser[1]))
        return
    os.environ["PATH"] = os.pathsep.join([*os.get_exec_path(), *map(str, asked.python)])
    jax.config.update("jax_compilation_cache_dir", str(asked.work / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    scale = TINY if asked.tiny else FULL
    parts = asked.parts or list(PARTS)
    if len(parts) == 1:
        counts = carry_out(parts[0], scale, asked.work)
        tell(parts[0], counts)
        sys.exit(bool(counts["wrong"]))
    held = in_lanes(parts, ["--work", str(asked.work), *["--tiny"] * asked.tiny])
    if set(parts) == set(PARTS) and all((asked.work / f"{part}.json").exists() for part in parts):
        write_result(asked.out, {part: read_json(asked.work / f"{part}.json") for part in parts})
    sys.exit(not held)


if __name__ == "__main__":
    main()
