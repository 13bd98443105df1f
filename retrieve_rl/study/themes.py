"""How figures look: colors that the color-blind can tell apart, on a light or a dark page."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_BLUE, _VERMILION, _GREEN, _PINK, _ORANGE, _SKY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
)
"""Of the palette of Okabe and Ito (2008)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class Theme(NamedTuple):
    """A page that figures stand on.

    Attributes:
      page: its color.
      ink: of letters and axes.
      cycle: of lines and bars, in order.
    """

    page: str
    ink: str
    cycle: tuple[str, ...]


LIGHT = Theme("#ffffff", "#1f2328", (_BLUE, _VERMILION, _GREEN, _PINK, _ORANGE, _SKY, "#555555"))
DARK = Theme("#0d1117", "#e6edf3", (_SKY, _ORANGE, _GREEN, _PINK, _VERMILION, _BLUE, "#aaaaaa"))


@contextmanager
def drawn_in(theme: Theme) -> Iterator[None]:
    """Figures made inside have the theme's colors; the same figure gives the same bytes."""
    import matplotlib
    from cycler import cycler

    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    settings: dict[str, Any] = {
        **dict.fromkeys(inked, theme.ink),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), theme.page),
        "axes.prop_cycle": cycler(color=theme.cycle),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "svg.hashsalt": "rrl",
        "svg.fonttype": "none",
        "text.parse_math": False,
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)  # type: ignore[arg-type]
        yield
