"""Pages as Markdown, pictures beside it."""

from collections.abc import Sequence

from retrieve_rl.report.page import Page, Section, Table
from retrieve_rl.shown import all_numbers, shown


def markdown(pages: Sequence[Page], folder_of: Sequence[str]) -> str:
    """The text of all pages.

    Args:
      folder_of: where the pictures of each page lie, as a link from the text.
    """
    parts = [
        line for page, folder in zip(pages, folder_of, strict=True) for line in _page(page, folder)
    ]
    return "\n".join(parts).rstrip() + "\n"


def table_in_markdown(table: Table) -> str:
    """A table; columns of numbers stand right."""
    lines = [_line(table.columns), _line([_rule(table, column) for column in _numbers(table)])]
    lines += [_line([_escaped(shown(value)) for value in row]) for row in table.rows]
    return "\n".join([*lines, *(["", table.note] if table.note else [])])


def _page(page: Page, folder: str) -> list[str]:
    lines = [f"# {page.title}", ""]
    for section in filter(None, page.sections):
        lines += [f"## {section.title}", "", *_section(section, folder)]
    return lines


def _section(section: Section, folder: str) -> list[str]:
    lines = [line for text in section.text for line in (text, "")]
    for picture in section.pictures:
        lines += [f"![{picture.alt}]({folder}/{picture.name}.png)", ""]
    for table in section.tables:
        lines += [table_in_markdown(table), ""]
    if section.commands:
        lines += ["```bash", *section.commands, "```", ""]
    return lines


def _numbers(table: Table) -> range:
    return range(len(table.columns))


def _rule(table: Table, column: int) -> str:
    return "---:" if all_numbers([row[column] for row in table.rows]) else "---"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
