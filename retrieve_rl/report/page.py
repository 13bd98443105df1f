"""A page before it is written: text, tables, figures, commands."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows under their columns.

    Attributes:
      rows: values as `cli.output` shows them: numbers, intervals as a mapping of mean, low and
        high, text, None.
      note: a sentence below.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """One drawing.

    Attributes:
      name: of its files, without suffix.
      alt: what it shows, for who cannot see it.
      png: for a light page.
      light, dark: SVG for a light page and for a dark one.
    """

    name: str
    alt: str
    png: bytes
    light: bytes
    dark: bytes


@dataclass(frozen=True)
class Section:
    """A part of a page; empty parts are left out.

    Attributes:
      text: paragraphs.
      commands: lines for a shell.
    """

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.text, self.tables, self.pictures, self.commands))


@dataclass(frozen=True)
class Page:
    """What is told of one study or one run."""

    title: str
    sections: list[Section]
