"""Writes quality as one HTML page that needs nothing else: a day of a flow's watch steps, or one check of past events."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from ops.quality.day import Day, Expected, Watched

STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --line: #8886; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .quiet { opacity: .7; }
"""


def day_page(day: Day) -> str:
    """A day of a flow."""
    parts = [f"<h1>Quality of {escape(day.flow)} on {escape(day.day)} (UTC)</h1>"]
    if not day.steps:
        parts.append('<p class="quiet">Nothing was judged.</p>')
    for step in day.steps:
        parts += _step(step)
    return _page(f"{day.flow}: quality on {day.day}", parts)


def _step(step: Watched) -> Iterable[str]:
    held = step.windows - step.failed
    yield f"<h2>{escape(step.step)}: suite {escape(step.suite)}, {escape(step.flow)}</h2>"
    if step.wrong:
        yield f'<p class="bad">{escape(step.wrong)}</p>'
    yield (
        f"<p>{step.windows:,} windows of {step.rows:,} sampled rows were judged in {step.seconds:.1f} s: "
        f'<span class="good">{held:,} held</span>, {_failed(step.failed)} did not. '
        f'<span class="quiet">{step.dropped_rows:,} rows were let go; action: {escape(step.action)}.</span></p>'
    )
    yield from expectations(step.expectations)
    failed = [one for one in step.recent if one.failed]
    if failed:
        rows = (
            (_time(one.at_ms), f"{one.rows:,}", "; ".join(one.failed) + ("; the flow was paused" if one.paused else ""))
            for one in failed[:50]
        )
        yield "<h2>The newest windows that did not hold</h2>"
        yield from _table(("at", "rows", "what was expected"), rows, numbers=(1,))


def expectations(found: Sequence[Expected]) -> Iterable[str]:
    """A table of expectations, those that failed first."""
    ordered = sorted(found, key=lambda one: (-one.failed, one.column))
    heads = "".join(f"<th>{head}</th>" for head in ("expected", "severity", "windows", "failed", "last", "worst"))
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    for one in ordered:
        worst = "" if one.worst_percent is None else f"{one.worst_percent:.3g} %"
        yield (
            f'<tr><td>{escape(one.sentence)}</td><td>{escape(one.severity)}</td><td class="n">{one.windows:,}</td>'
            f'<td class="n">{_failed(one.failed)}</td><td class="n">{escape(one.observed)}</td><td class="n">{worst}</td></tr>'
        )
    yield "</tbody></table>"


def past_page(title: str, facts: Sequence[tuple[str, str]], found: Sequence[Expected]) -> str:
    """One check of past events."""
    return _page(title, [f"<h1>{escape(title)}</h1>", *_table(("", ""), facts), "<h2>Expectations</h2>", *expectations(found)])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> Iterable[str]:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    yield f"<table><thead><tr>{head}</tr></thead><tbody>" if any(heads) else "<table><tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td{' class=n' if at in numbers else ''}>{escape(cell)}</td>" for at, cell in enumerate(row)) + "</tr>"
    yield "</tbody></table>"


def _failed(count: int) -> str:
    return f'<span class="{"bad" if count else "good"}">{count:,}</span>'


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")


def _page(title: str, parts: Iterable[str]) -> str:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    return f'<!doctype html><html lang="en"><head>{policy}{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"
