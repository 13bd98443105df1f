"""What every index is, and which one suits a number of keys."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from jaxtyping import Float

from retrieve_rl.errors import MissingDependencyError
from retrieve_rl.retrieval.neighbors import Neighbors
from retrieve_rl.types import Array

Kind = Literal["exact", "scann"]

EXACT_UP_TO = 200_000
"""Keys above which ScaNN is chosen. On 2 cores exact search of a batch took 0.14 ms a query over
60,000 keys and 1.1 ms over a million (exact-search.json, index-tradeoff.json)."""


class Index(Protocol):
    """Searchable keys. A row keeps its number, from 0, as long as the index lives."""

    @property
    def num_keys(self) -> int: ...

    @property
    def dim(self) -> int: ...

    def search(self, queries: Float[Array, "B D"], num_neighbors: int) -> Neighbors:
        """Nearest first; -1 and an infinite distance where there is no further neighbor."""
        ...


class StoredIndex(Index, Protocol):
    """An index with files of its own."""

    def save(self, folder: Path) -> None:
        """Writes the index's files into an empty folder."""
        ...


class Choice(NamedTuple):
    """An index and why it was chosen, in words for a person."""

    kind: Kind
    reason: str


def choose(num_keys: int, wanted: Kind | None = None) -> Choice:
    """The index for `num_keys` keys; one that is wanted by name is never swapped for another.

    Raises:
      MissingDependencyError: ScaNN is wanted and cannot be imported here.
    """
    if wanted == "exact":
        return Choice("exact", "as asked")
    if wanted == "scann":
        if not scann_is_here():
            raise MissingDependencyError(
                f"ScaNN is not installed ({sys.platform}; it exists for Linux, Python 3.9 to 3.13):"
                " install scann, or ask for the exact index"
            )
        return Choice("scann", "as asked")
    if num_keys <= EXACT_UP_TO:
        return Choice("exact", f"{num_keys:,} keys: up to {EXACT_UP_TO:,} exact search is fast")
    if not scann_is_here():
        return Choice("exact", "ScaNN is not installed here: exact search answers, slower")
    return Choice("scann", f"{num_keys:,} keys: above {EXACT_UP_TO:,} ScaNN is faster")


def scann_is_here() -> bool:
    """Whether the package is installed; `rrl doctor` says whether it also works."""
    return find_spec("scann") is not None
