"""Writes figures into a page: a table and a plot between two marks, and JSON beside the page."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from ops.bench.results import GOALS, Outcome, Row

SPEEDS = ("events/s, median", "least to most", "ratio", "CPU s per million", "memory, MB")
KILLED = ("lost", "twice", "back after, s")
HEAD = ("contender", "guarantee", *SPEEDS, *KILLED)
WIDTH, LABEL, BAR, FONT = 760, 250, 22, 13


def cells(row: Row) -> list[str]:
    """A row of the table, as text; of HEAD's columns."""
    if row.events_s is None:
        return [row.title, row.guarantee, *([""] * (len(HEAD) - 2))]
    least, median, most = row.events_s
    killed = ["", "", ""]
    if row.kill is not None:
        killed = [f"{row.kill.count.lost:,}", f"{row.kill.count.twice:,}", row.kill.back]
    return [
        row.title, row.guarantee, f"{median:,.0f}", f"{least:,.0f} to {most:,.0f}", _figure(row.ratio, 2), _figure(row.cpu_us, 1),
        str((row.peak_bytes or 0) >> 20), *killed,
    ]  # fmt: skip


def remarks(outcome: Outcome) -> list[str]:
    """What the table can't say: goals, and who has no figures."""
    said = []
    for goal in GOALS:
        ratio = outcome.reached(goal)
        if ratio is not None:
            bound = f" (at least {goal.holds:g})" if goal.holds and goal.holds != goal.goal else ""
            verdict = "reached" if goal.met(ratio) else "not reached"
            said.append(f"{goal.of} to {goal.to}: {ratio:.2f}, the goal is {goal.goal:g}{bound}: {verdict}.")
    said += [f"{name}: {why}" for name, why in outcome.absent.items()]
    wrong = {row.name: row.wrong_laps for row in outcome.rows() if row.wrong_laps}
    return said + [f"{name}: in {laps} rounds its outcomes were not those that were due." for name, laps in wrong.items()]


def markdown(outcome: Outcome, plot: str) -> str:
    """The table, the plot and the remarks."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD)), *(_line(cells(row)) for row in outcome.rows())]
    return "\n".join([*lines, "", f"![events by second]({plot})", "", *(f"* {remark}" for remark in remarks(outcome))])


def svg(rows: Sequence[Row]) -> str:
    """Events by second: a bar each up to the median, a line from the least to the most."""
    shown = [(row, row.events_s) for row in rows if row.events_s is not None]
    most = max((speeds[2] for _, speeds in shown), default=1.0)
    scale, height, parts = (WIDTH - LABEL - 90) / most, len(shown) * (BAR + 8) + 8, []
    for at, (row, (low, median, high)) in enumerate(shown):
        top = at * (BAR + 8) + 8
        middle = top + BAR / 2
        fill = "#0f766e" if row.name.startswith("weft") else "#94a3b8"
        parts += [
            f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(row.title)}</text>',
            f'<rect x="{LABEL}" y="{top}" width="{median * scale:.1f}" height="{BAR}" fill="{fill}"/>',
            f'<line x1="{LABEL + low * scale:.1f}" x2="{LABEL + high * scale:.1f}" y1="{middle}" y2="{middle}" stroke="#334155"/>',
            f'<text x="{LABEL + high * scale + 6:.1f}" y="{middle + 4}">{median:,.0f}</text>',
        ]
    box = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="{FONT}" fill="#334155"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *parts, "</svg>", ""])


def listed(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of one shape as a table."""
    return "\n".join([_line(rows[0]), _line(["---"] * len(rows[0])), *(_line(map(str, row.values())) for row in rows)]) if rows else ""


def put(page: Path, name: str, text: str) -> None:
    """Set what stands in a page between the marks of that name; at its end where it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = page.read_text("utf-8") if page.exists() else ""
    before, found, rest = old.partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def write(page: Path, outcome: Outcome, machine: Mapping[str, object]) -> None:
    """The page, and beside it JSON and the plot, which are named after it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    plot = page.with_suffix(".svg")
    plot.write_text(svg(outcome.rows()), "utf-8")
    page.with_suffix(".json").write_text(json.dumps({"machine": machine, **outcome.figures()}, indent=1) + "\n", "utf-8")
    told = ", ".join(f"{name} {value}" for name, value in machine.items())
    put(page, "race", f"{told}.\n\n{markdown(outcome, plot.name)}")


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"
