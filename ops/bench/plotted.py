"""The plot of a long run: events/s and memory by stretches, as a file of its own in the report's colours."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.report import drawing
from ops.report.drawing import COLOURS, headed, panels, svg, time_axis

_COLOURS = re.search(r":root \{.*?\}", (Path(drawing.__file__).parent / "page.css").read_text(), re.DOTALL)


def long_run(rows: Sequence[Mapping[str, Any]]) -> str:
    """An SVG document; rows as `scale` gives them for the part `long`."""
    figure, axes = panels(2, height=1.3)
    for axis, column, colour, words in zip(axes, ("events_s", "memory_mb"), "ab", ("events/s", "memory of the worker, MB"), strict=True):
        values = [row[column] for row in rows]
        axis.plot(range(len(values)), values, color=COLOURS[colour], linewidth=1.6, marker="o", markersize=3)
        axis.set_ylim(0, max(values) * 1.15)
        axis.grid(axis="y")
        headed(axis, words)
    time_axis(axes[-1], [f"{row['events'] * row['stretch'] / 1e6:g} M" for row in rows])
    drawn = svg(figure, "long", "A long run", f"Events per second and memory in {len(rows)} stretches of equal numbers of events.")
    opened, rest = drawn.split(">", 1)
    colours = _COLOURS[0].replace(":root", "svg") if _COLOURS else ""
    style = f"<style>{colours} svg {{ background: var(--paper); font-family: sans-serif }}</style>"
    return f'{opened} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'
