"""Damaged and invented input for everything that reads what others write.

A parser returns, or raises the errors it documents. Any other error, or two seconds without an end,
is a failure, which hypothesis reduces to a small input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieve_rl.errors import RrlError

Damage = bytes | Sequence[tuple[str, float, bytes]]

_MILLISECONDS = 2000
_EDITS = st.lists(
    st.tuples(
        st.sampled_from(("replace", "insert", "delete", "end", "repeat")),
        st.floats(0, 1),
        st.binary(max_size=8),
    ),
    min_size=1,
    max_size=4,
)


@dataclass(frozen=True)
class Parser:
    """A parser and what it is fed with.

    Attributes:
      inputs: draws them.
      feed: hands one over, in a folder of its own.
      errors: that may come.
    """

    inputs: st.SearchStrategy[Any]
    feed: Callable[[Any, Path], object]
    errors: tuple[type[Exception], ...] = (RrlError,)


def fuzz(make_parser: Callable[[Path], Parser], examples: int) -> None:
    """Feeds a parser; an error that should not come is raised.

    Args:
      make_parser: may write sound files into the folder.
    """
    with TemporaryDirectory() as name:
        parser = make_parser(Path(name))

        @settings(
            max_examples=examples,
            deadline=_MILLISECONDS,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(parser.inputs)
        def feed(drawn: Any) -> None:
            try:
                parser.feed(drawn, Path(name))
            except parser.errors:
                pass

        feed()


DAMAGES = _EDITS | st.binary(max_size=200)
"""A few edits of sound bytes, or others altogether."""


def damaged(data: bytes, damage: Damage) -> bytes:
    """What is left of sound bytes."""
    if isinstance(damage, bytes):
        return damage
    for kind, share, piece in damage:
        at = round(share * len(data))
        after = {
            "replace": piece + data[at + len(piece) :],
            "insert": piece + data[at:],
            "delete": data[at + 1 + len(piece) :],
            "end": b"",
            "repeat": data[at // 2 :],
        }
        data = data[:at] + after[kind]
    return data
