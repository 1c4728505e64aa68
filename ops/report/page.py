"""The page: figures and plots in one HTML file that needs nothing else, with every text escaped."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ops.flow.disk import sized
from ops.report import plots
from ops.report.gather import Figures
from ops.report.inshort import Line, in_short

_SPANS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))
RULES, COLUMNS, ALERTS = 30, 40, 20  # rows that are shown; the JSON has them all


def page(figures: Figures) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("ops.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "moment": moment,
        "span": span,
        "percent": percent,
        "sized": sized,
        "heat": heat,
        "short": short,
        "tenths": tenths,
    }
    lines: Sequence[Line] = in_short(figures)
    shown = {"rules": RULES, "columns": COLUMNS, "alerts": ALERTS}
    return environment.get_template("page.html").render(**figures, plots=_plots(figures), lines=lines, shown=shown)


def _plots(figures: Figures) -> Mapping[str, Markup]:
    """Each plot by its name; empty where there is nothing to draw."""
    outcomes = figures["outcomes"]
    drawn = {
        "event": plots.verdicts(outcomes["by_event_time"], "event", "Outcomes over event time"),
        "written": plots.verdicts(outcomes["by_processing_time"], "written", "Outcomes over the time of processing"),
        "drift": plots.drift(figures["drift"]),
        "latency": plots.latency(figures["latency"]),
        "models": plots.models(figures["models"]),
        "reviews": plots.ways(figures["reviews"]),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704  drawn here: what it says is escaped


def number(count: float) -> str:
    """With thousands apart."""
    return f"{count:,}" if isinstance(count, int) else f"{count:,.3g}"


def moment(at_ms: int | None) -> str:
    """A moment, UTC; a dash where the calendar has none."""
    if at_ms is None:
        return "never"
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # beyond the years 1 to 9999
        return "\N{EN DASH}"


def span(seconds: float | None) -> str:
    """A span in the unit that it is read best in."""
    if seconds is None:
        return "\N{EN DASH}"
    for size, unit in _SPANS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "under 1 ms" if seconds else "0 s"


def percent(part: float, whole: float) -> str:
    """A share that shows small ones as they are."""
    if not whole:
        return "none"
    share = 100 * part / whole
    if part and share < 0.01:
        return "< 0.01 %"
    return f"{share:.2f} %" if 0 < share < 10 or 99 < share < 100 else f"{share:.0f} %"


def tenths(part: int, whole: int) -> str:
    """A share as a table's cell: per cent with one decimal."""
    if not part or not whole:
        return "\N{MIDDLE DOT}"
    share = 100 * part / whole
    return f"{share:.1f}" if share >= 0.05 else "<0.1"


def short(labels: Sequence[str], number: int) -> str:
    """A bucket's name without the year, or the day, that it shares with the one before."""
    label, before = labels[number], labels[number - 1] if number else ""
    cut = 11 if before[:11] == label[:11] and len(label) > 11 else 5 if before[:5] == label[:5] and len(label) > 4 else 0
    return label[cut:]


def heat(value: float | None, most: float) -> str:
    """How strongly a cell is coloured, between 0 and 1."""
    return "0" if not value or not most else f"{min(1.0, max(0.04, value / most)):.2f}"
