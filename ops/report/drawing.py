"""Draws with Matplotlib, its one owner: figures become inline SVG whose colours are the page's, in light, dark and print."""

import io
import logging
import os
import re
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from streams.settings import default_cache

os.environ.setdefault("MPLCONFIGDIR", str(default_cache() / "matplotlib"))  # before the import: its list of fonts, made once

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that can't be written to is no news

_INK: Final = {name: f"#0000{code:02x}" for code, name in enumerate(("ink", "muted", "line", "paper"), start=1)}
_SERIES: Final = (
    "result",
    "filtered",
    "review",
    "dead-letter",
    "quarantine",
    "retry",
    "superseded",
    "unreadable",
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
)
COLOURS: Final = _INK | {name: f"#0001{code:02x}" for code, name in enumerate(_SERIES, start=1)}
"""Colours by the names that they have in the page's style sheet: each is drawn as a mark, and becomes `var(--name)`."""

WIDTH: Final = 12.0  # inches of 72 units
FONT: Final = 11.0
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "weft",
    "font.size": FONT,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["muted"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.6,
}
_MARKS: Final = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_MARK: Final = re.compile("|".join(_MARKS))
_LEFT_OUT: Final = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->|<defs>\s*</defs>", re.DOTALL)
_FONT: Final = re.compile(r"font-family: [^;\"]*; ")  # the page's own
_TIP: Final = re.compile(r'<g id="tip:([^"]*)">')
_IDS: Final = re.compile(r' id="([^"]*)"')
TICKS: Final = 12
_ABOVE, _BELOW = 0.28, 0.34  # inches, for title and ticks


def panels(count: int, height: float = 0.7, gap: float = 0.35) -> tuple[Figure, Sequence[Axes]]:
    """A figure of so many panels below each other that share their time; height and gap in inches."""
    with mpl.rc_context(_STYLE):
        high = count * height + (count - 1) * gap + _ABOVE + _BELOW
        figure = Figure(figsize=(WIDTH, high))
        FigureCanvasSVG(figure)
        axes = figure.subplots(count, 1, sharex=True, squeeze=False, gridspec_kw={"hspace": gap / height})[:, 0]
        figure.subplots_adjust(left=0.055, right=0.997, top=1 - _ABOVE / high, bottom=_BELOW / high)
    return figure, list(axes)


def time_axis(axes: Axes, labels: Sequence[str]) -> None:
    """Names some of the buckets; what all names begin with is left out."""
    one_day = len({label[:11] for label in labels}) == 1 and len(labels[0]) > 11
    cut = 11 if one_day else 0
    step = max(1, -(-len(labels) // TICKS))
    at = range(0, len(labels), step)
    axes.set_xticks(list(at), [labels[number][cut:] for number in at])
    axes.set_xlim(-0.6, len(labels) - 0.4)


def headed(axes: Axes, words: str) -> None:
    """Says above a panel what it shows."""
    axes.set_title(words, loc="left", fontsize=FONT, pad=4.0)


def tip(mark: Artist, text: str) -> None:
    """What a mark says where the pointer rests on it."""
    mark.set_gid(f"tip:{text}")


def compact(number: float) -> str:
    """A number in few characters."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{suffix}"
    return f"{number:.3g}"


def svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an element of a page. Its words are text; `title` and `description` say to those who can't see it what it shows."""
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn, name = buffer.getvalue(), f"plot-{name}"
    drawn = drawn[drawn.index("<svg") :]
    drawn = _TIP.sub(r"<g><title>\1</title>", _FONT.sub("", _LEFT_OUT.sub("", drawn)))
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]*)", drawn))
    drawn = _IDS.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", drawn)
    drawn = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", drawn)
    drawn = _MARK.sub(lambda found: _MARKS[found[0]], drawn)
    view = re.search(r'viewBox="([^"]*)"', drawn)
    body = drawn[drawn.index(">") + 1 :]
    head = (
        f'<svg viewBox="{view[1] if view else ""}" role="img" aria-labelledby="{name}-title {name}-text" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-text">{escape(description)}</desc>'
    )
    return head + re.sub(r"\s*\n\s*", " ", body)
