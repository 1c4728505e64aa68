"""The plots of a report, each made of the figures alone."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from ops.report.drawing import COLOURS, FONT, compact, headed, panels, svg, time_axis, tip

_SERIES: Final = ("a", "b", "c", "d", "e", "f")
_WAYS: Final = {"asked": "review", "approved": "result", "rejected": "quarantine", "expired": "dead-letter"}
SHOWN: Final = len(_SERIES)  # models, columns: the others stand in the tables


def verdicts(series: Mapping[str, Any], name: str, title: str) -> str:
    """Events by verdict: a panel each, with a scale of its own, since results outnumber all others."""
    rows = {verdict: (counts, verdict) for verdict, counts in series["verdicts"].items()}
    return _bars(rows, series, name, title)


def ways(reviews: Mapping[str, Any]) -> str:
    """What happened to reviews: those ways that occurred."""
    rows = {way: (counts, _WAYS[way]) for way, counts in reviews["ways"].items() if any(counts)}
    return _bars(rows, reviews, "reviews", "Reviews over time") if rows else ""


def _bars(rows: Mapping[str, tuple[Sequence[int], str]], series: Mapping[str, Any], name: str, title: str) -> str:
    if not rows or not series["at"]:
        return ""
    figure, axes = panels(len(rows))
    for axis, (label, (counts, colour)) in zip(axes, rows.items(), strict=True):
        bars = axis.bar(range(len(counts)), counts, width=0.82, color=COLOURS[colour], linewidth=0)
        for bar, at, count in zip(bars, series["at"], counts, strict=True):
            bar.set_visible(count > 0)
            tip(bar, f"{at}: {count:,} {label}")
        headed(axis, f"{label}  {sum(counts):,}")
        _scale(axis, max(counts))
    time_axis(axes[-1], series["at"])
    told = "; ".join(f"{label} {sum(counts):,}, at most {max(counts):,} in one {series['unit']}" for label, (counts, _) in rows.items())
    return svg(figure, name, title, f"Bars by {series['unit']} from {series['at'][0]} to {series['at'][-1]}: {told}.")


def drift(told: Mapping[str, Any]) -> str:
    """Where the values of each watched column lie: the median, between the tenths, beside the reference's."""
    columns = [one for one in told["columns"] if any(one["quantiles"])][:SHOWN]
    if not columns or not told["at"]:
        return ""
    figure, axes = panels(len(columns), height=1.3)
    for axis, one in zip(axes, columns, strict=True):
        found = [(at, values) for at, values in enumerate(one["quantiles"]) if values]
        x = [at for at, _ in found]
        low, middle, high = zip(*(values for _, values in found), strict=True)
        axis.fill_between(x, low, high, color=COLOURS["a"], alpha=0.18, linewidth=0, step=None)
        axis.plot(x, middle, color=COLOURS["a"], linewidth=1.6, marker="o", markersize=3)
        for value, dash in zip(one["reference"] or (), (":", "--", ":"), strict=False):
            axis.axhline(value, color=COLOURS["muted"], linewidth=0.8, linestyle=dash)
        moved = [at for at in x if one["drift"][at]]
        marks = axis.plot(
            moved, [one["quantiles"][at][2] for at in moved], linestyle="", marker="^", markersize=7, color=COLOURS["dead-letter"]
        )
        for mark in marks:
            tip(mark, "drift: the index is above its threshold")
        headed(axis, f"{one['column']}  median, and where 80 % of the values lie; the reference dashed")
        axis.grid(axis="y")
        axis.margins(y=0.12)
        axis.locator_params(axis="y", nbins=4)
    time_axis(axes[-1], told["at"])
    text = "; ".join(f"{one['column']}: the median is {_range([v[1] for v in one['quantiles'] if v])}" for one in columns)
    return svg(figure, "drift", "Watched columns over event time", f"Lines by {told['unit']} of event time. {text}.")


def latency(told: Mapping[str, Any]) -> str:
    """From an event's arrival to its outcome: quantiles over the time of processing."""
    series = told["series"]
    if not told["count"]:
        return ""
    figure, axes = panels(1, height=2.4)
    axis, x = axes[0], range(len(series["at"]))
    for name, colour, dash in (("p99", "dead-letter", ":"), ("p95", "review", "--"), ("p50", "a", "-")):
        values = [float("nan") if value is None else value for value in series[name]]
        axis.plot(x, values, color=COLOURS[colour], linestyle=dash, linewidth=1.6, marker="o", markersize=3, label=name)
    axis.set_yscale("log")
    values = [value for name in ("p50", "p99") for value in series[name] if value is not None]
    _decades(axis, min(values), max(values))
    axis.grid(axis="y")
    axis.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        frameon=False,
        borderpad=0,
        handlelength=2.4,
        fontsize=FONT,
        labelcolor=COLOURS["ink"],
    )
    time_axis(axis, series["at"])
    text = ", ".join(f"{name} {told[name]:.3g} s" for name in ("p50", "p95", "p99"))
    return svg(figure, "latency", "Latency over the time of processing", f"Lines by {series['unit']}, logarithmic scale. Over all: {text}.")


def models(told: Mapping[str, Any]) -> str:
    """Who answered, as a share of the results, and how often a fallback did."""
    named = told["models"][:SHOWN]
    totals = [sum(column) for column in zip(*(one["counts"] for one in named), strict=True)]
    if not any(totals):
        return ""
    figure, axes = panels(2, height=1.0)
    below = [0.0] * len(totals)
    for one, colour in zip(named, _SERIES, strict=False):
        shares = [100 * count / total if total else 0.0 for count, total in zip(one["counts"], totals, strict=True)]
        bars = axes[0].bar(range(len(shares)), shares, bottom=below, width=0.82, color=COLOURS[colour], linewidth=0, label=one["model"])
        for bar, at, share in zip(bars, told["at"], shares, strict=True):
            bar.set_visible(share > 0)
            tip(bar, f"{at}: {one['model']} {share:.1f} %")
        below = [before + share for before, share in zip(below, shares, strict=True)]
    headed(axes[0], "share of the results by model version, %")
    axes[0].set_ylim(0, 100)
    axes[0].set_yticks([0, 50, 100])
    fallen = [100 * down / total if total else 0.0 for down, total in told["by_bucket"]]
    bars = axes[1].bar(range(len(fallen)), fallen, width=0.82, color=COLOURS["dead-letter"], linewidth=0)
    for bar, share in zip(bars, fallen, strict=True):
        bar.set_visible(share > 0)
    headed(axes[1], "degraded: a fallback answered, %")
    _scale(axes[1], max(*fallen, 1.0))
    time_axis(axes[1], told["at"])
    text = "; ".join(f"{one['model']} {one['rows']:,} results, {one['degraded']:,} of them degraded" for one in named)
    return svg(figure, "models", "Models over event time", f"Bars by {told['unit']} of event time: {text}.")


def _scale(axis: Axes, most: float) -> None:
    """From nothing to the highest, and no line more."""
    axis.set_ylim(0, most * 1.02 or 1)
    axis.set_yticks([0, most], ["0", compact(most)])


def _decades(axis: Axes, low: float, high: float) -> None:
    """Ticks at spans that people know."""
    known = {
        0.001: "1 ms",
        0.01: "10 ms",
        0.1: "100 ms",
        1: "1 s",
        10: "10 s",
        60: "1 min",
        600: "10 min",
        3600: "1 h",
        86400: "1 d",
        864000: "10 d",
    }
    ticks = sorted(known)
    first = max([tick for tick in ticks if tick <= low], default=ticks[0])
    last = min([tick for tick in ticks if tick >= high], default=ticks[-1])
    shown = [tick for tick in ticks if first <= tick <= last]
    axis.set_ylim(min(first, low) / 1.1, max(last, high) * 1.1)
    axis.yaxis.set_major_locator(FixedLocator(shown))
    axis.yaxis.set_major_formatter(FixedFormatter([known[tick] for tick in shown]))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_minor_formatter(NullFormatter())


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
