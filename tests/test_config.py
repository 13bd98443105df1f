"""Config layers: merging, `--set`, and refusals in the user's words."""

import math

import pytest
from pydantic import Field

from retrieve_rl import config
from retrieve_rl.config import (
    Strict,
    digest,
    merge,
    parse_setting,
    read_toml,
    settings_of,
    validate,
)
from retrieve_rl.errors import UsageError


class Section(Strict):
    steps: int = Field(10, ge=0)
    rate: float = 0.1
    names: tuple[str, ...] = ()


class Whole(Strict):
    task: str = "a"
    train: Section = Section()


def check(values):
    return validate(Whole, values, source="test")


def test_settings_are_what_differs_from_the_defaults():
    assert settings_of(check({"train": {"steps": 10, "rate": 0.5}})) == {"train": {"rate": 0.5}}
    assert settings_of(check({"task": "a"})) == {}
    assert settings_of(check({"task": "b"}), without=["task"]) == {}


def test_a_later_layer_wins_key_by_key():
    layers = [
        {"task": "a", "train": {"steps": 1, "rate": 0.5}},
        {"train": {"steps": 2}},
        {"task": "b"},
    ]
    assert merge(layers) == {"task": "b", "train": {"steps": 2, "rate": 0.5}}
    assert layers[0]["train"]["steps"] == 1  # the layers are left as they were
    assert merge([{"a": {"b": 1}}, {"a": 2}]) == {"a": 2}
    assert merge([{"a": 2}, {"a": {"b": 1}}]) == {"a": {"b": 1}}
    assert merge([]) == {}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("seed=1", {"seed": 1}),
        ("train.steps=100", {"train": {"steps": 100}}),
        (" train . rate = 1e-3 ", {"train": {"rate": 1e-3}}),
        ("task=hopper-medium", {"task": "hopper-medium"}),
        ('task="3"', {"task": "3"}),
        ("flag=true", {"flag": True}),
        ('names=["a", "b"]', {"names": ["a", "b"]}),
        ("backbone=package.module:Class", {"backbone": "package.module:Class"}),
        ("equation=a=b", {"equation": "a=b"}),
        ("empty=", {"empty": ""}),
    ],
)
def test_settings(text, expected):
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["steps", "=1", "train.=1", ".steps=1", ""])
def test_settings_without_a_key_or_a_value(text):
    with pytest.raises(UsageError, match="key=value"):
        parse_setting(text)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"trian": {}}, r"unknown key trian; did you mean train\?"),
        ({"train": {"step": 1}}, r"unknown key train.step; did you mean train.steps\?"),
        ({"zzz": 1}, "unknown key zzz; known: task, train"),
        ({"train": {"zzz": 1}}, "unknown key train.zzz; known: steps, rate, names"),
        ({"train": {"steps": "many"}}, r"train.steps: .*integer.*\(found 'many'\)"),
        ({"train": {"steps": 1.5}}, "train.steps"),
        ({"train": {"steps": -1}}, "train.steps: .*greater than or equal to 0"),
        ({"train": {"rate": math.nan}}, "train.rate"),
        ({"train": {"rate": math.inf}}, "train.rate"),
        ({"train": 3}, "train"),
        ({"task": None}, "task"),
        ({"task": object()}, "test: "),
    ],
)
def test_refused_values_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        check(values)


def test_every_bad_key_is_named_at_once():
    with pytest.raises(UsageError, match="(?=.*steps)(?=.*rate)"):
        check({"train": {"steps": -1, "rate": "fast"}})


def test_what_toml_cannot_say_exactly_is_taken():
    whole = check({"train": {"names": ["a"], "rate": 1}})
    assert whole.train.names == ("a",) and whole.train.rate == 1.0


def test_configs_are_frozen_and_hashable():
    whole = check({})
    assert hash(whole) == hash(check({}))
    with pytest.raises(ValueError):
        whole.task = "b"


def test_broken_toml_is_refused_with_its_line(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("a = 1\nb = = 2\n")
    with pytest.raises(UsageError, match="a.toml is not valid TOML.*line 2"):
        read_toml(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_toml(file)


def test_named_files_are_found(tmp_path):
    file = tmp_path / "own.toml"
    with pytest.raises(UsageError, match="does not exist"):
        config.find("tasks", str(file))
    file.write_text("")
    assert config.find("tasks", str(file)) == file
    assert config.find("tasks", "hopper-medium").name == "hopper-medium.toml"
    with pytest.raises(UsageError, match="no task is called .*did you mean hopper-medium"):
        config.find("tasks", "hoper-medium")
    for kind in ("tasks", "presets", "arms", "ablations"):
        for name, path in config.named_files(kind).items():
            assert path.stem == name and isinstance(read_toml(path), dict)


def test_a_digest_depends_on_values_not_on_order():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.0}) != digest({"a": "1"})
    with pytest.raises(ValueError):
        digest({"a": math.nan})
