"""Values as a person sees them, on the terminal and on a page."""

from collections.abc import Iterator, Mapping
from typing import Any

INTERVAL = ("mean", "low", "high")


def shown(value: Any) -> str:
    """Five digits, an interval as `mean [low, high]` or as its mean alone, "-" for nothing."""
    if value is None or value in ("", [], ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    if is_interval(value):
        if value["low"] is None and value["high"] is None:
            return shown(value["mean"])
        return f"{shown(value['mean'])} [{shown(value['low'])}, {shown(value['high'])}]"
    if isinstance(value, list | tuple):
        items = [shown(item) for item in value[:8]]
        more = [f"... {len(value)} in all"] if len(value) > 8 else []
        return ", ".join([*items, *more])
    return str(value)


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested mappings; an interval is one value."""
    if isinstance(value, Mapping) and not is_interval(value):
        for key, item in value.items():
            yield from flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def leaves(
    summary: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every row of a study's summary, by the names that lead to it."""
    if "mean" in summary:
        yield path, summary
        return
    for name, below in summary.items():
        yield from leaves(below, (*path, name))


def interval_of(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The interval among other numbers."""
    return {name: numbers[name] for name in INTERVAL}


def is_interval(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == set(INTERVAL)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def all_numbers(column: list[Any]) -> bool:
    """Whether a column holds numbers or intervals, and nothing else but gaps."""
    given = [value for value in column if value is not None]
    return bool(given) and all(is_number(value) or is_interval(value) for value in given)
