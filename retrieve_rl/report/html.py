"""Pages as one HTML file that needs no other; pictures are light or dark as the reader likes."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from retrieve_rl.report.page import Page, Picture, Section, Table
from retrieve_rl.shown import all_numbers, shown
from retrieve_rl.study.themes import DARK, LIGHT

_LONG = 60
"""Letters that a cell holds in one line."""
_STYLE = f"""
:root {{ color-scheme: light dark; --page: {LIGHT.page}; --ink: {LIGHT.ink}; --rule: #d0d7de;
  --shade: #f6f8fa; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: {DARK.page}; --ink: {DARK.ink}; --rule: #30363d; --shade: #161b22; }}
}}
body {{ margin: 0 auto; padding: 1rem 1.5rem 4rem; max-width: 70rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.6rem; margin: 2rem 0 0.5rem; }}
h2 {{ font-size: 1.15rem; margin: 2rem 0 0.5rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; }}
th, td {{ padding: 0.25rem 0.7rem; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: top; white-space: nowrap; }}
td.long {{ white-space: normal; min-width: 24rem; }}
th {{ background: var(--shade); }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
pre {{ background: var(--shade); padding: 0.7rem 1rem; overflow-x: auto; }}
img {{ max-width: 100%; height: auto; }}
figure {{ margin: 1rem 0; }}
nav a {{ margin-right: 1rem; color: inherit; }}
"""


def html(pages: Sequence[Page]) -> str:
    """The whole document."""
    title = " · ".join(page.title for page in pages)
    body = "\n".join(_page(page, number) for number, page in enumerate(pages))
    links = [f'<a href="#page-{n}">{escape(page.title)}</a>' for n, page in enumerate(pages)]
    nav = f"<nav>{''.join(links)}</nav>\n" if len(pages) > 1 else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{nav}{body}\n</body>\n</html>\n"
    )


def _page(page: Page, number: int) -> str:
    sections = "\n".join(_section(section) for section in filter(None, page.sections))
    return f'<article id="page-{number}">\n<h1>{escape(page.title)}</h1>\n{sections}\n</article>'


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(text)}</p>" for text in section.text]
    parts += [_picture(picture) for picture in section.pictures]
    parts += [_table(table) for table in section.tables]
    if section.commands:
        parts.append(f"<pre><code>{escape(chr(10).join(section.commands))}</code></pre>")
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _picture(picture: Picture) -> str:
    dark, light = _data(picture.dark), _data(picture.light)
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(picture.alt)}"></picture></figure>'
    )


def _table(table: Table) -> str:
    columns = [[row[column] for row in table.rows] for column in range(len(table.columns))]
    numeric = [all_numbers(column) for column in columns]

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = [_kind(cell, number) for cell, number in zip(cells, numeric, strict=True)]
        filled = zip(cells, kinds, strict=True)
        return "<tr>" + "".join(f"<{tag}{kind}>{escape(c)}</{tag}>" for c, kind in filled) + "</tr>"

    head = line("th", table.columns)
    rows = "\n".join(line("td", [shown(value) for value in row]) for row in table.rows)
    note = f"\n<p>{escape(table.note)}</p>" if table.note else ""
    return f'<div class="wide"><table>\n{head}\n{rows}\n</table></div>{note}'


def _kind(cell: str, numeric: bool) -> str:
    if numeric:
        return ' class="number"'
    return ' class="long"' if len(cell) > _LONG else ""


def _data(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
