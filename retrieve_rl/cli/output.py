"""Results on stdout: tables for a person, one JSON document for a program."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def print_json(document: Any) -> None:
    """Prints one strict JSON document."""
    from retrieve_rl.artifacts import to_json
    from retrieve_rl.results import without_nan

    sys.stdout.write(to_json(without_nan(document)))
    sys.stdout.flush()


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows under the names of their columns; nothing is an empty field."""
    import csv

    writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [], lineterminator="\n")
    if rows:
        writer.writeheader()
    writer.writerows(rows)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints rows under their columns; numbers stand right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for number, column in enumerate(columns):
        given = [row[number] for row in rows if row[number] is not None]
        numeric = bool(given) and all(map(_is_number, given))
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(format_value(value) for value in row))
    # Rich takes 80 columns where there is no terminal, and would break paths in a file or pipe.
    width = None if sys.stdout.isatty() else 1000
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    console.print(title, style="bold")
    console.print(table)
    console.print()


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Prints a nested mapping as rows of dotted name and value; an interval is one row."""
    print_table(title, ("name", "value"), list(_flatten(facts, "")))


def format_value(value: Any) -> str:
    """A value for a person: five digits, intervals as `mean [low, high]`, "-" for nothing."""
    if value is None or value in ("", [], ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    if _is_interval(value):
        low, high = format_value(value["low"]), format_value(value["high"])
        return f"{format_value(value['mean'])} [{low}, {high}]"
    if isinstance(value, list | tuple):
        shown = [format_value(item) for item in value[:8]]
        more = [f"... {len(value)} in all"] if len(value) > 8 else []
        return ", ".join([*shown, *more])
    return str(value)


def _flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and not _is_interval(value):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _is_interval(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"mean", "low", "high"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
