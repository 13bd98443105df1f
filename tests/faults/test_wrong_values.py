"""Every option and argument of every command with wrong values: one message, the right exit code.

A row is what is typed after the command, the exit code, and words of the message. "@" is a folder
of wrong files, see `wrong_inputs`.
"""

import re
import shlex
from itertools import chain

import pytest
import typer
from commands import call
from wrong_inputs import write_wrong_inputs

from retrieve_rl.cli.app import app

USAGE, MISSING, RESOURCES, DATA = 2, 3, 4, 5

TINY = "--task @/tiny.toml --preset smoke --set data.num_experts=2"
DATA_OF_TINY = "--dataset @/data.hdf5 --experts @/experts.hdf5"
GO = "--task go9 --preset smoke --games @/games.sgf"
MATRIX = "--keys @/keys.npy --out @/new"
MATCH = "@/go-run --openings @/sound.txt --opponent none"

DEVICE = [
    ("{} --device tpu", USAGE, "'auto', 'cpu', 'gpu'"),
    ("{} --device gpu", MISSING, "no GPU"),
]
RUNS = [
    ("{} --runs @/keys.npy", USAGE, "is a file"),
    ("{} --runs @/keys.npy/x", USAGE, "keys.npy/x"),
]
SEED = [
    ("{} --seed -1", USAGE, "greater than or equal to 0"),
    ("{} --seed one", USAGE, "valid integer"),
    ("{} --seed 4294967296", USAGE, "less than 4294967296"),
]
PRESET = [("{} --preset tiny", USAGE, "known: default, paper, quick, smoke")]
SETTINGS = [
    ("{} --set train", USAGE, "must look like key=value"),
    ("{} --set =3", USAGE, "must look like key=value"),
    ("{} --set train.stepz=3", USAGE, "did you mean train.steps?"),
    ("{} --set train=3", USAGE, "train: Input should be an object"),
    ("{} --set train.steps=many", USAGE, "train.steps: Input should be a valid integer"),
    ("{} --set train.steps=-1", USAGE, "train.steps: Input should be greater than"),
    ("{} --set train.steps=nan", USAGE, "train.steps"),
    ("{} --set train.steps.x=1", USAGE, "train.steps"),
    ("{} --set seed=3", USAGE, "use --seed"),
    (f"{{}} --set train.steps={'[' * 3000}", USAGE, "nested too deeply"),
    (f"{{}} --set {'x.' * 3000}x=1", USAGE, "3001 parts"),
]
OUT_FILE = [
    ("{} --out @/folder", USAGE, "is a directory"),
    ("{} --out @/keys.npy/x", USAGE, "used"),
]
GAMES = [
    ("--task go9 --preset smoke --games @/absent", DATA, "expected game records"),
    ("--task go9 --preset smoke --games @/folder", DATA, "expected game records"),
    ("--task go9 --preset smoke --games @/keys.npy", DATA, "expected .sgf"),
    ("--task go9 --preset smoke --games @/none.sgf", DATA, "no usable 9x9 game"),
    ("--task go9 --preset smoke --games @/big.sgf", DATA, "another board size"),
    ("--task go9 --preset smoke --games @/one.sgf", DATA, "bring more games"),
    ("--task go9 --preset smoke --games @/text.zip", DATA, "not a zip file"),
    ("--task go9 --preset smoke --games @/text.sgf.gz", DATA, "Not a gzipped file"),
]
TASK_FILES = [
    ("{} --task @/absent.toml", USAGE, "does not exist"),
    ("{} --task @/folder.toml", USAGE, "does not exist"),
    ("{} --task @/broken.toml", USAGE, "line 1"),
    ("{} --task @/latin.toml", USAGE, "not valid TOML"),
    ("{} --task @/deep.toml", USAGE, "nested too deeply"),
    ("{} --task @/paper.toml", USAGE, "found 'chess'"),
]
GO_TASK = [
    *TASK_FILES,
    ("{} --task go8", USAGE, "did you mean go9?"),
    ("{} --task hopper-medium", USAGE, "is of Re:Frame; here: go9"),
]
TASK = [
    *TASK_FILES,
    ("", USAGE, "--task is needed"),
    ("--task hoper-medium", USAGE, "did you mean hopper-medium?"),
    ("--task @/unknown.toml", USAGE, "did you mean env.id?"),
    ("--task @/type.toml", USAGE, "env.id: Input should be a valid string (found 3)"),
]
ARM = [
    (f"{TINY} --arm nobody", USAGE, "known: backbone"),
    (f"{TINY} --arm @/absent.toml", USAGE, "does not exist"),
    (f"{GO} --arm reframe", USAGE, "arm reframe is of Re:Frame"),
]
DATASET = [
    (f"{TINY} --dataset @/data.hdf5", USAGE, "--experts"),
    (f"{TINY} --dataset hopper --experts @/experts.hdf5", USAGE, "not a data set id"),
    (f"{TINY} --dataset ../x-v0 --experts @/experts.hdf5", USAGE, "not a data set id"),
    (f"{TINY} --dataset rrl/hopper/best-v0", USAGE, "no bundled data set"),
    (f"{TINY} --dataset d4rl/none --experts @/experts.hdf5", DATA, "rrl data import"),
    (f"{GO} --dataset @/data.hdf5", USAGE, "of Re:Frame"),
    *(
        (f"{TINY} --dataset @/{name}.hdf5 --experts @/experts.hdf5", DATA, message)
        for name, message in (
            ("absent", "does not exist"),
            ("folder", "does not exist"),
            ("text", "cannot be read as HDF5"),
            ("nan", "'/observations' row 4 is not finite"),
            ("no-rewards", "'/rewards' is missing"),
            ("few-rewards", "expected 1 axes and 60 rows"),
            ("endless", "ends an episode"),
            ("words", "expected numbers"),
            ("walker2d", "was made in Walker2d"),
        )
    ),
]
EXPERTS = [
    (f"{TINY} --dataset @/data.hdf5 --experts @/text.hdf5", DATA, "cannot be read as HDF5"),
    (f"{TINY} --dataset @/data.hdf5 --experts @/walker2d.hdf5", DATA, "same environment"),
    (f"{TINY} {DATA_OF_TINY} --set data.num_experts=9", USAGE, "ask for fewer"),
    (f"{GO} --experts @/data.hdf5", USAGE, "of Re:Frame"),
]
PLAY = {
    "player": [
        ("{} --player best", USAGE, "'puct', 'gumbel'"),
        ("{} --player prior --simulations 3", USAGE, "leave out --simulations"),
    ],
    "simulations": [("{} --simulations -1", USAGE, "greater than or equal to")],
    "neighbors": [("{} --neighbors many", USAGE, "'nearest', 'random'")],
    "num_neighbors": [("{} --num-neighbors 0", USAGE, "greater than or equal")],
}
RUN = [
    ("@/absent", DATA, "does not exist"),
    ("@/folder", DATA, "no run is there"),
    ("@/keys.npy", DATA, "cannot be read"),
    ("@/damaged-run", DATA, "cannot be read"),
    ("@/other-run", DATA, "no schema version"),
    ("@/newer-run", DATA, "take a newer version of this program"),
]
INDEX = [
    ("{} --index @/keys.npy", USAGE, "is a file"),
    ("{} --index @/absent", DATA, "not an artifact"),
]
FAIL_UNDER = [
    ("{} --fail-under much", USAGE, "valid number"),
    ("{} --fail-under nan", USAGE, "greater than or equal to -inf"),
]
DEVICES = [
    ("{} --devices 0", USAGE, "greater than or equal to 1"),
    ("{} --devices many", USAGE, "valid integer"),
]
MISSING_ARGUMENT = [("", USAGE, "Missing argument")]


def given(words, rows):
    """The rows after these words."""
    return [(row.replace("{}", words), code, message) for row, code, message in rows]


def of_training(words):
    return {
        "task": given("", TASK),
        "preset": given(words, PRESET),
        "arm": ARM,
        "seed": given(words, SEED),
        "settings": given(words, SETTINGS),
        "dataset": DATASET,
        "experts": EXPERTS,
        "games": [(f"{TINY} --games @/games.sgf", USAGE, "of Go")],
        "device": given(words, DEVICE),
        "runs": given(words, RUNS),
        "out": [(f"{words} --out @/folder", USAGE, "is a directory")],
    }


TABLE = {
    "build-index": {
        "keys": [
            (MATRIX.replace("keys.npy", name), DATA, message)
            for name, message in {
                "absent.npy": "is not there",
                "folder": "is not there, or no file",
                "text.npy": "expected an npy file",
                "empty": "expected an npy file",
                "keys.npz": "is not there",
                "wide.npz": "expected an npy file",
                "cut.npy": "not a whole npy file",
                "objects.npy": "not a whole npy file of numbers",
                "double.npy": "save keys.astype('float32')",
                "flat.npy": "expected [rows, width]",
                "none.npy": "at least one row",
                "nan.npy": "not finite in row 7",
            }.items()
        ]
        + [("--out @/new", USAGE, "needs --keys"), (f"{GO} --keys @/keys.npy", USAGE, "leave out")],
        "values": [
            (f"{MATRIX} --values @/{name}", DATA, message)
            for name, message in {
                "absent.npz": "is not there",
                "folder": "or no file",
                "keys.npy": "expected an npz file",
                "text.npz": "expected an npz file",
                "objects.npz": "not a whole npz file of numbers",
                "short.npz": "expected 1200 rows",
            }.items()
        ],
        "groups": [
            (f"{MATRIX} --groups @/{name}", DATA, message)
            for name, message in {
                "absent.npy": "is not there",
                "flat.npz": "expected an npy file",
                "objects.npy": "not a whole npy file of numbers",
                "short.npy": "expected 1200 rows",
                "fractions.npy": "expected whole numbers",
                "negative.npy": "expected 0 or more",
            }.items()
        ],
        "index": [(f"{MATRIX} --index tree", USAGE, "'exact', 'scann'")],
        "recall": [
            (f"{MATRIX} --recall {value}", USAGE, "--recall") for value in ("1.5", "nan", "high")
        ],
        "reorder": [(f"{MATRIX} --reorder int4", USAGE, "'float32'")],
        "shard_rows": [
            (f"{MATRIX} --shard-rows {value}", USAGE, "--shard-rows") for value in ("0", "1.5")
        ],
        "max_memory": [
            (f"{MATRIX} --max-memory nan", USAGE, "--max-memory"),
            (f"{MATRIX} --max-memory much", USAGE, "--max-memory"),
            (f"{MATRIX} --max-memory 0.01", RESOURCES, "raise --max-memory"),
        ],
        "add": [
            (f"{MATRIX} --add @/absent", DATA, "not an artifact"),
            (f"{MATRIX} --add @/changed", DATA, "sha256 differs"),
            (f"{MATRIX} --add @/longer", DATA, "more.pkl is not listed"),
            (f"{MATRIX} --add @/index --add @/index", USAGE, "are of games"),
            (f"{MATRIX} --add @/index --index exact", USAGE, "takes its choices"),
            ("--keys @/wide.npy --out @/new --add @/index", DATA, "width 9, the memory 8"),
            (f"{GO} --add @/games.sgf", DATA, "this command makes it"),
        ],
        "to": [
            (f"{GO} --add @/games.sgf --to @/keys.npy", USAGE, "is a file"),
            (f"{GO} --to @/index", USAGE, "give it, too"),
            (f"{MATRIX} --to @/index", USAGE, "are of games"),
        ],
        "positions": [
            (f"{GO} --positions 3", USAGE, "give it, too"),
            (f"{GO} --positions 0", USAGE, "--positions"),
            (f"{MATRIX} --positions 3", USAGE, "are of games"),
        ],
        "task": given("", GO_TASK),
        "preset": given("--task go9", PRESET)
        + [(f"{MATRIX} --preset smoke", USAGE, "are of games: with --task NAME")],
        "seed": given(GO, SEED),
        "settings": given(GO, SETTINGS)
        + [(f"{GO} --set keys.dim=100000", USAGE, "take a wider layer")],
        "games": GAMES,
        "device": given(GO, DEVICE),
        "runs": given(GO, RUNS),
        "out": [
            ("--keys @/keys.npy", USAGE, "needs --keys FILE.npy and --out DIR"),
            ("--keys @/keys.npy --out @/text.npy", USAGE, "must be an index"),
            ("--keys @/keys.npy --out @/folder", USAGE, "choose another --out"),
            ("--keys @/keys.npy --out @/text.npy --force", USAGE, "choose another --out"),
            ("--keys @/keys.npy --out @/folder --force", USAGE, "choose another --out"),
            ("--keys @/keys.npy --out @/text.npy/x", USAGE, "text.npy"),
            ("--keys @/keys.npy --out @/index --recall 0.5", USAGE, "replace it by --force"),
            (f"{GO} --out @/folder", USAGE, "is a folder"),
        ],
    },
    "train-amb": of_training(f"{TINY} {DATA_OF_TINY}"),
    "train-policy": {
        **of_training(f"{TINY} {DATA_OF_TINY}"),
        "devices": given(f"{TINY} {DATA_OF_TINY}", DEVICES)
        + [(f"{TINY} {DATA_OF_TINY} --devices 99", MISSING, "ask for fewer")],
        "fail_under": given(TINY, FAIL_UNDER),
    },
    "evaluate": {
        **of_training(f"{TINY} {DATA_OF_TINY}"),
        "dataset": DATASET[:1] + [(f"{TINY} {DATA_OF_TINY}", DATA, "this command makes it")],
        "experts": EXPERTS[3:],
        "seed": given(TINY, SEED),
        "device": given("@/go-run", DEVICE),
        "runs": given(TINY, RUNS[:1]),
        "run": [
            *RUN,
            ("@/go-run --task go9", USAGE, "not both"),
            ("@/index", DATA, "no run is there"),
        ],
        **{name: given(MATCH, rows) for name, rows in PLAY.items()},
        "games": [
            (f"{MATCH} --games {games}", USAGE, "an even number") for games in ("3", "0", "many")
        ],
        "opponent": [
            (MATCH, MISSING, "the engine 'none' is not there"),
            (f'{MATCH} --opponent "\'broken"', USAGE, "cannot be read"),
            (f"{MATCH} --opponent ''", USAGE, "expected a command line"),
            ("@/reframe-run --opponent none", USAGE, "which is not Go"),
            ("@/go-run --simulations 3", USAGE, "need --opponent"),
        ],
        "openings": [
            (f"{MATCH} --openings @/folder", USAGE, "is a directory"),
            (f"{MATCH} --openings @/absent", DATA, "does not exist"),
            (f"{MATCH} --openings @/openings.txt", DATA, "line 1: 'Z9' is no move"),
            (f"{MATCH} --openings @/few.txt", DATA, "bring more"),
            (f"{MATCH} --openings @/binary.txt", DATA, "cannot be read"),
            (f"{MATCH} --openings @/illegal.txt", DATA, "occupied point"),
            (f"{MATCH} --openings @/repeated.txt", DATA, "line 1 is no opening: it repeats"),
            (f"{MATCH} --openings @/keys.npy", DATA, "expected .sgf"),
        ],
        "opening_set": [(f"{MATCH} --opening-set all", USAGE, "'scoring', 'adding'")],
        "move_seconds": [
            (f"{MATCH} --move-seconds {value}", USAGE, "--move-seconds") for value in ("0", "nan")
        ],
        "episodes": [
            ("@/reframe-run --episodes 0", USAGE, "greater than or equal to 1"),
            ("@/go-run --episodes 3", USAGE, "of Re:Frame"),
            (f"{MATCH} --episodes 3", USAGE, "--games N says how many"),
        ],
        "index": given("@/go-run", INDEX)
        + [("@/reframe-run --index @/absent", USAGE, "--index is of Go")],
        "fail_under": given("@/go-run", FAIL_UNDER),
    },
    "ablate": {
        "name": MISSING_ARGUMENT
        + [
            ("memory-sise", USAGE, "did you mean memory-size?"),
            ("@/absent.toml", USAGE, "does not exist"),
            ("@/broken.toml", USAGE, "line 1"),
            ("@/deep.toml", USAGE, "nested too deeply"),
            ("@/tiny.toml", USAGE, "title is missing"),
            ("@/nobody.toml", USAGE, "no arm is called"),
            ("@/no-key.toml", USAGE, "did you mean train.steps?"),
            ("@/no-value.toml", USAGE, "grid train.steps holds nothing"),
            ("@/no-arm.toml", USAGE, "arms: List should have at least 1 item"),
            ("@/twice.toml", USAGE, "seeds holds 1 twice"),
            ("@/negative.toml", USAGE, "seed: Input should be greater"),
            ("@/two-presets.toml", USAGE, "preset: Input should be a valid string"),
            ("@/no-table.toml", USAGE, "smoke: expected a table of what changes (found 3)"),
            ("@/reference.toml", USAGE, "reference 'nobody' is none of the arms"),
            ("@/mixed.toml", USAGE, "a study is of one paper"),
        ],
        "task": [
            ("memory-size --task nothing", USAGE, "no task is called"),
            ("memory-size --task go9", USAGE, "arm reframe is of Re:Frame"),
        ],
        "preset": given("memory-size", PRESET),
        "seed": given("memory-size", SEED),
        "settings": given("memory-size", SETTINGS),
        "cells": [("memory-size --cells @/keys.npy", USAGE, "is a file")],
        "jobs": [("memory-size --jobs 0", USAGE, "--jobs"), ("x --jobs many", USAGE, "--jobs")],
        "devices": given("memory-size", DEVICES),
        "executor": [("memory-size --executor slurm", USAGE, "'local', 'ray'")],
        "ray_address": [("memory-size --ray-address auto", USAGE, "needs --executor ray")],
        "device": given("memory-size", DEVICE[:1]),
        "runs": given("memory-size", RUNS[:1]),
        "out": [("memory-size --out @/folder", USAGE, "is a directory")],
    },
    "compare": {
        "first": MISSING_ARGUMENT
        + [(f"{row} @/go-run", code, message) for row, code, message in RUN]
        + [
            ("@/newer.json @/go-run", DATA, "take a newer version"),
            ("@/list.json @/go-run", DATA, "expected a JSON object"),
        ],
        "second": [("@/go-run", USAGE, "Missing argument")],
    },
    "report": {
        "targets": MISSING_ARGUMENT
        + RUN[1:]
        + [
            ("nothing", DATA, "no run and no finished study"),
            ("first-look --runs @/folder", DATA, "rrl ablate first-look makes it"),
            ("@/list.json", DATA, "expected a JSON object"),
            ("@/other.json", DATA, "is no report of a study"),
        ],
        "out": [("memory-size --out @/keys.npy", USAGE, "is a file")],
        "runs": given("memory-size", RUNS[:1]),
    },
    "neighbors": {
        "task": given("--row 1", GO_TASK) + [("--row 1", USAGE, "--task is needed")],
        "preset": given("--task go9 --row 1", PRESET),
        "seed": given(f"{GO} --row 1", SEED),
        "settings": given(f"{GO} --row 1", SETTINGS),
        "games": [(f"{row} --row 1", code, message) for row, code, message in GAMES[:2]],
        "device": given(f"{GO} --row 1", DEVICE[:1]),
        "runs": given(f"{GO} --row 1", RUNS[:1]),
        "game": [
            (f"{GO} --game @/one.sgf", USAGE, "name one position"),
            (f"{GO} --game @/one.sgf --ply 1 --row 1", USAGE, "name one position"),
            (f"{GO} --game @/folder --ply 1", USAGE, "is a directory"),
        ],
        "ply": [
            (f"{GO} --ply 1", USAGE, "name one position"),
            (f"{GO} --game @/one.sgf --ply -1", USAGE, "greater than or equal to 0"),
        ],
        "row": [
            (GO, USAGE, "name one position"),
            (f"{GO} --row -1", USAGE, "greater than or equal to 0"),
            (f"{GO} --row 1", DATA, "this command makes it"),
        ],
        "index": given(f"{GO} --row 1", INDEX[:1]),
        "num_neighbors": [
            (f"{GO} --row 1 --num-neighbors {count}", USAGE, "--num-neighbors")
            for count in ("0", "101", "x")
        ],
        "out": [(f"{GO} --row 1 --runs @/runs --out @/keys.npy", DATA, "this command makes it")],
    },
    "gtp": {
        "run": MISSING_ARGUMENT + RUN + [("@/reframe-run", USAGE, "which is not Go")],
        **{name: given("@/go-run", rows) for name, rows in PLAY.items()},
        "index": given("@/go-run", INDEX[:1]),
        "device": given("@/go-run", DEVICE),
        "runs": given("@/go-run", RUNS[:1]),
    },
    "list": {
        "what": [("games", USAGE, "'tasks', 'presets', 'arms'")],
        "runs": given("runs", RUNS[:1]),
        "where": [
            ("runs --where seed", USAGE, "must look like key=value"),
            ("tasks --where seed=0", USAGE, "--where chooses among runs"),
        ],
        "csv": [("--csv", USAGE, "prints one table"), ("runs --csv --json", USAGE, "one table")],
    },
    "show": {"run": MISSING_ARGUMENT + RUN},
    "verify": {
        "path": MISSING_ARGUMENT
        + [
            ("@/absent", DATA, "nothing to check at or below"),
            ("@/keys.npy", DATA, "nothing to check at or below"),
            ("@/changed", DATA, "sha256 differs"),
            ("@/longer", DATA, "more.pkl is not listed"),
        ],
    },
    "doctor": {"runs": given("", RUNS[:1])},
    "data make": {
        "name": MISSING_ARGUMENT
        + [("hopper-easy", USAGE, "no bundled data set"), ("../x", USAGE, "no bundled data set")],
        "workers": [
            (f"hopper-medium --workers {count}", USAGE, "--workers") for count in ("0", "x")
        ],
    },
    "data import": {
        "file": MISSING_ARGUMENT
        + [
            ("@/absent.hdf5", DATA, "does not exist"),
            ("@/keys.npy", DATA, "cannot be read as HDF5"),
            ("@/nan.hdf5", DATA, "row 4 is not finite"),
        ],
        "name": [
            (f"@/data.hdf5 --name {name}", USAGE, "cannot name a data set")
            for name in ("../x", "a/b", "''")
        ],
    },
    "data list": {},
    "data stats": {
        "name": MISSING_ARGUMENT
        + [
            ("nothing", USAGE, "not a data set id"),
            ("../x-v0", USAGE, "not a data set id"),
            ("d4rl/../x", USAGE, "cannot name a data set"),
            ("d4rl/nothing", DATA, "rrl data import"),
            ("mujoco/hopper/medium-v0", DATA, "not on this machine"),
            ("@/text.hdf5", DATA, "cannot be read as HDF5"),
        ],
    },
}
"""Command -> parameter -> rows. Flags are tried with a value, which none takes."""


def parameters():
    """(command, parameter, its flag or None) for all there are."""

    def walk(command, words):
        if hasattr(command, "commands"):
            for name, below in command.commands.items():
                yield from walk(below, (*words, name))
        else:
            for one in command.params:
                flag = one.opts[0] if getattr(one, "is_flag", False) else None
                yield " ".join(words), one.name, flag

    return list(walk(typer.main.get_command(app), ()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong") / "values"
    folder.mkdir()
    write_wrong_inputs(folder)
    return folder


def test_no_parameter_is_without_a_row():
    tried = {(command, name) for command, rows in TABLE.items() for name in rows}
    assert {(command, name) for command, name, flag in parameters() if not flag} <= tried
    assert tried <= {(command, name) for command, name, _ in parameters()}


@pytest.mark.parametrize("command", TABLE)
def test_wrong_values_are_refused_in_one_message(command, folder):
    flags = [flag for name, _, flag in parameters() if name == command and flag]
    rows = [
        *chain.from_iterable(TABLE[command].values()),
        *((f"{flag}=yes", USAGE, "does not take a value") for flag in flags),
    ]
    wrong = [told for row in rows for told in problems(command, row, folder)]
    assert wrong == [], "\n".join(wrong)
    assert not (folder / "new").exists()


def problems(command, row, folder):
    """What is wrong with how a row is refused."""
    words, code, message = row
    done = call((*command.split(), *shlex.split(words)), folder)
    said = re.sub(r"[\s│]+", " ", done.stderr)  # Typer breaks lines within a box
    sound = done.exit_code == code and message in said and "Traceback" not in done.output
    if sound and said.count("error: ") + said.count(" Error ") == 1:
        return []
    return [f"{command} {words}: {done.exit_code} instead of {code}, {message!r}: {said[:400]}"]
