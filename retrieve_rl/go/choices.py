"""What can be chosen by name at play; imports nothing, so that the command line can state it."""

from typing import Literal

PlayerKind = Literal["puct", "gumbel", "prior"]
NeighborKind = Literal["nearest", "random", "none"]
OpeningHalf = Literal["scoring", "adding"]
