"""A hash is of what differs from the defaults, so a default that changes needs another version."""

import json
from pathlib import Path

import pytest

from retrieve_rl.go import config as go
from retrieve_rl.reframe import config as reframe

FOLDER = Path(__file__).parent / "golden/defaults"
NAMES = {"task": "", "arm": "", "preset": ""}
PAPERS = {
    "reframe": (reframe.ReframeConfig, reframe.RESULTS_VERSION),
    "go": (go.GoConfig, go.RESULTS_VERSION),
}


def flat(values, above=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


@pytest.mark.parametrize("paper", PAPERS)
def test_a_version_keeps_its_defaults(paper):
    model, version = PAPERS[paper]
    path = FOLDER / f"{paper}.json"
    recorded = json.loads(path.read_text())
    found = dict(flat(model(**NAMES).model_dump(mode="json", exclude=set(NAMES))))
    known = dict(flat(recorded["defaults"]))
    changed = {name: found.get(name) for name in known if found.get(name) != known[name]}
    assert not changed or version > recorded["results_version"], (
        f"{changed}: other defaults need another RESULTS_VERSION"
    )
    assert (found, version) == (known, recorded["results_version"]), (
        f"write {path.name} anew: fields are new, or the version is"
    )
