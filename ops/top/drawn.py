"""Draws views for a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ops.top.view import View

_VERDICTS = {"result": "blue", "filtered": "dim", "review": "yellow", "retry": "cyan", "dead-letter": "red", "quarantine": "magenta"}
BAR = 12


def drawn(views: Sequence[View], data: str) -> RenderableType:
    """All flows below each other."""
    if not views:
        return Text(f"No flow runs from {data}. Begin with: weft run FLOW", style="yellow")
    return Group(*(part for view in views for part in (*_flow(view), Text(""))))


def _flow(view: View) -> Iterator[RenderableType]:
    yield _head(view)
    yield from _troubles(view)
    if not view.up:
        return
    yield _figures(view)
    yield _outcomes(view)
    yield _steps(view)


def _head(view: View) -> Text:
    whole = view.ready == view.of
    workers = f"{view.up} of {view.of} workers up" + ("" if view.ready == view.up else f", {view.ready} at work")
    return Text.assemble((view.flow, "bold"), f" {', '.join(view.versions)}   ", (workers, "green" if whole else "bold red"))


def _troubles(view: View) -> Iterator[Text]:
    """What somebody should look at."""
    if view.paused:
        yield Text(f"paused: {view.paused}", style="yellow")
    for reason in view.reasons:
        yield Text(f"not at work: {reason}", style="yellow")
    for model, state in view.breakers.items():
        if state != "closed":
            yield Text(f"breaker {state}: {model}", style="red")
    if view.last_failure:
        yield Text(f"last failure: {view.last_failure}", style="dim")


def _figures(view: View) -> Table:
    cells = [
        ("events/s", f"{view.events_per_s:,.0f}"),
        ("behind", f"{view.lag:,}"),
        ("oldest", _span(view.oldest_s)),
        ("fetch to commit", "-" if view.latency_s is None else _span(view.latency_s)),
        ("wait for a retry", f"{view.retrying:,}"),
        ("open reviews", f"{view.reviews_open:,}"),
        ("in flight", f"{view.in_flight_bytes / 1e6:,.1f} MB"),
        ("memory", f"{view.memory_bytes / 1e6:,.0f} MB"),
    ]
    for column, (psi, threshold) in view.drift.items():
        cells.append((f"drift {column}", f"{psi:.2f}{' !' if psi > threshold else ''}"))
    return _table([(name, "right") for name, _ in cells], [[Text(value, style="bold") for _, value in cells]])


def _outcomes(view: View) -> Table:
    rows = [
        [Text(verdict, style=_VERDICTS.get(verdict, "")), Text(f"{view.outcomes_per_s.get(verdict, 0.0):,.0f}"), Text(f"{count:,.0f}")]
        for verdict, count in view.outcomes.items()
    ]
    return _table([("outcome", "left"), ("a second", "right"), ("since start", "right")], rows)


def _steps(view: View) -> Table:
    rows = [
        [
            Text(step.step, style="red" if step.waits else ""),
            Text(f"{step.rows_per_s:,.0f}"),
            Text("-" if step.batch_ms is None else f"{step.batch_ms:,.1f}"),
            Text("#" * round(step.share * BAR)),
            Text(f"waits: {step.waits}" if step.waits else "", style="red"),
        ]
        for step in view.steps
    ]
    return _table([("step", "left"), ("rows/s", "right"), ("ms a batch", "right"), ("share of the time", "left"), ("", "left")], rows)


def _table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Text]]) -> Table:
    made = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name, justify in columns:
        made.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def _span(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds * 1000:.0f} ms"
