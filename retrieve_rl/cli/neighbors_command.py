"""neighbors: a position of Go beside the nearest ones of an index."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from retrieve_rl.cli.device import prepare
from retrieve_rl.cli.locate import find_built, go_config_of
from retrieve_rl.cli.options import DEFAULT_ROOT, GoChoice, GrownIndex, Output
from retrieve_rl.cli.output import print_json
from retrieve_rl.errors import UsageError

if TYPE_CHECKING:
    from retrieve_rl.go.look_up import LookUp

_SUFFIXES = (".svg", ".png", ".json")


def neighbors(
    choice: GoChoice,
    output: Output,
    game: Annotated[
        Path | None,
        Option(
            metavar="FILE.sgf",
            dir_okay=False,
            show_default="none",
            help="A record of one 9x9 game, yours or another's; needs --ply.",
        ),
    ] = None,
    ply: Annotated[
        int | None,
        Option(min=0, show_default="none", help="The position after so many moves of --game."),
    ] = None,
    row: Annotated[
        int | None,
        Option(min=0, show_default="none", help="Instead of --game: a position of the store."),
    ] = None,
    num_neighbors: Annotated[int, Option(min=1, max=100, help="How many to find.")] = 4,
    index: GrownIndex = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR|FILE",
            show_default="in the folder of the run",
            help="Where the picture goes; FILE.svg also gives FILE.png and FILE.json.",
        ),
    ] = None,
) -> None:
    """Show a position of Go beside its nearest neighbors.

    Asks the index of a finished build-index run, whose options are given again,
    or with --index one grown from that. Boards are printed, and drawn as SVG and
    PNG: next moves red, border by the winner. Neighbors are turned to the query's
    orientation; none is from the query's own game.
    """
    position = _position(game, ply, row)
    config, root = go_config_of(choice), choice.runs or DEFAULT_ROOT
    run = find_built(config, choice, root)
    files = _files(out or run / "neighbors", position)
    prepare(choice.device)
    from retrieve_rl.go.built import open_built
    from retrieve_rl.go.look_up import document_of_look_up, look_up
    from retrieve_rl.go.queries import query_of_game, query_of_row
    from retrieve_rl.go.versions import open_version

    built = open_built(config, root)
    if index is not None:
        built = open_version(config, built, index)
    if isinstance(position, int):
        query = query_of_row(built.data.store, position)
    else:
        query = query_of_game(*position)
    found = look_up(config, built, query, num_neighbors)
    document = {
        "command": "neighbors",
        "run": str(run if index is None else index),
        **document_of_look_up(found),
        "files": [str(file) for file in files],
    }
    _write(found, document, files)
    _print(found, document, output)


def _position(game: Path | None, ply: int | None, row: int | None) -> tuple[Path, int] | int:
    """A game and a ply, or a row. Raises UsageError unless exactly one of the two is given."""
    if row is not None and game is None and ply is None:
        return row
    if row is None and game is not None and ply is not None:
        return game, ply
    raise UsageError("name one position: --game FILE.sgf and --ply N, or --row N")


def _files(out: Path, position: tuple[Path, int] | int) -> list[Path]:
    """A file for each suffix: beside the one named, or in the folder that is, by the position.

    Raises:
      UsageError: another file lies there.
    """
    if out.suffix.lower() in _SUFFIXES and not out.is_dir():
        return [out.with_suffix(suffix) for suffix in _SUFFIXES]
    if out.exists() and not out.is_dir():
        raise UsageError(
            f"{out} is there and no folder: name a folder, or a file that ends in .svg"
        )
    if isinstance(position, int):
        name = f"row-{position}"
    else:
        game, ply = position
        name = f"{game.name}-ply-{ply}"
    return [out / f"{name}{suffix}" for suffix in _SUFFIXES]


def _write(found: "LookUp", document: dict[str, Any], files: list[Path]) -> None:
    from retrieve_rl.artifacts import to_json, write_file
    from retrieve_rl.go.draw_boards import draw_boards

    pictures = draw_boards(found)
    contents: dict[str, str | bytes] = {
        ".svg": pictures.svg,
        ".png": pictures.png,
        ".json": to_json(document),
    }
    for file in files:
        write_file(file, contents[file.suffix])


def _print(found: "LookUp", document: dict[str, Any], output: Output) -> None:
    if output.as_json:
        print_json(document)
        return
    from rich.console import Console

    from retrieve_rl.go.text_boards import text_boards

    Console(markup=False, highlight=False, emoji=False).print(text_boards(found))
    print(*document["files"], sep="\n")
