"""From what is named to the files of a report."""

from collections.abc import Sequence
from pathlib import Path

from retrieve_rl import artifacts
from retrieve_rl.config import experiments_folder, named_files
from retrieve_rl.documents import read_json
from retrieve_rl.errors import DataError
from retrieve_rl.report.html import html
from retrieve_rl.report.markdown import markdown
from retrieve_rl.report.of_run import page_of_run
from retrieve_rl.report.of_study import page_of_study
from retrieve_rl.report.page import Page
from retrieve_rl.results import read_result

MARKDOWN, HTML, FIGURES = "report.md", "report.html", "figures"


def write_report(targets: Sequence[str], root: Path, out: Path) -> list[Path]:
    """Writes `report.md`, `report.html` and `figures/` into `out`; returns them, pictures last.

    Args:
      targets: runs, by folder or result.json; studies, by name or by what rrl ablate wrote.
      root: where runs lie, and the reports of studies.

    Raises:
      DataError: nothing is finished under such a name, or it cannot be read.
    """
    pages = [_page(target, root) for target in targets]
    names = [FIGURES] if len(pages) == 1 else [f"{FIGURES}/{n}" for n in range(1, 1 + len(pages))]
    written = [out / MARKDOWN, out / HTML]
    for page, name in zip(pages, names, strict=True):
        for picture in (one for section in page.sections for one in section.pictures):
            for suffix, content in ((".png", picture.png), (".svg", picture.light)):
                path = out / name / f"{picture.name}{suffix}"
                artifacts.write_file(path, content)
                written.append(path)
    artifacts.write_file(out / MARKDOWN, markdown(pages, names))
    artifacts.write_file(out / HTML, html(pages))
    return written


def _page(target: str, root: Path) -> Page:
    path = Path(target)
    if path.is_dir():
        return page_of_run(read_result(path), path)
    if not path.is_file():
        path = _report_of_study(target, root)
    document = read_json(path)
    if "command" in document:
        return page_of_run(read_result(path), path.parent)
    return page_of_study(document, str(path), root)


def _report_of_study(name: str, root: Path) -> Path:
    """What `rrl ablate NAME` wrote last, else what the checkout holds.

    A study that was narrowed or changed has a report of another name, see `Asked.report_name`.
    """
    places = [
        root / "reports" / name / "report.json",
        *(experiments_folder() / "results" / f"{stem}.json" for stem in (f"ablate-{name}", name)),
    ]
    for place in places:
        if place.is_file():
            return place
    for file in sorted((experiments_folder() / "results").glob("*.json")):
        if _study_of(file) == name:
            return file
    others = sorted(path.parent.name for path in (root / "reports").glob(f"{name}-*/report.json"))
    if others:
        raise DataError(f"no finished study is called {name}; there are {', '.join(others)}")
    make = f": rrl ablate {name} makes it" if name in named_files("ablations") else ""
    raise DataError(f"no run and no finished study is called {name}{make}")


def _study_of(file: Path) -> str | None:
    """The name of the study that the file is a report of, if it is one."""
    try:
        found = read_json(file).get("name")
    except DataError:
        return None
    return found if isinstance(found, str) else None
