"""Results on stdout: tables for a person, one JSON document for a program."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from retrieve_rl.shown import all_numbers, flat, shown


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
        numeric = all_numbers([row[number] for row in rows])
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(shown, row))
    # Rich takes 80 columns where there is no terminal, and would break paths in a file or pipe.
    width = None if sys.stdout.isatty() else 1000
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    console.print(title, style="bold")
    console.print(table)
    console.print()


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Prints a nested mapping as rows of dotted name and value; an interval is one row."""
    print_table(title, ("name", "value"), list(flat(facts)))
