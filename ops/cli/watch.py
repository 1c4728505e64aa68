"""`weft watch`: what the suites of a flow's watch steps came to."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, say, table
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.settings import load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Show what the suites of a flow's watch steps came to.")

RECENT = 5


@app.callback()
def group() -> None:
    """Show what the suites of a flow's watch steps came to."""


@app.command(epilog="Examples:\n\n  weft watch show departure-delays\n\n  weft watch show departure-delays --day 2026-11-20 --json")
def show(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    day: Annotated[str | None, typer.Option(help="A day (UTC) like 2026-11-20; else the newest there is.")] = None,
    json: Json = False,
) -> int:
    """Show a day of a flow's watch steps: windows judged, expectations that failed, and where the page is. Needs no broker."""
    from ops.quality import day as kept

    data = load().data_folder
    found = kept.days(data, flow)
    if not found:
        raise UsageError(
            f"no sample of {flow} was judged in {data}",
            "Give the flow a `watch` step, apply it, run it; a window is judged once 100 rows of it were sampled: see docs/quality.md.",
        )
    if day is not None and day not in found:
        raise UsageError(f"no sample of {flow} was judged on {day}", f"There are {', '.join(found[:10])}.")
    told = kept.load(data, flow, day or found[0])
    page = kept.folder(data, flow) / f"{told.day}.html"
    if json:
        as_json(told.model_dump() | {"page": str(page)})
    else:
        _print(told, page)
    return Exit.DONE


def _print(day: Any, page: Path) -> None:
    for step in day.steps:
        say(f"{step.step} of {step.flow}, suite {step.suite}, on {day.day} (UTC)", "bold")
        if step.wrong:
            say(step.wrong, "red")
        dropped = f", {step.dropped_rows:,} rows let go" if step.dropped_rows else ""
        say(f"{step.windows:,} windows, {step.rows:,} sampled rows, {step.failed:,} windows with failures{dropped}\n")
        table(("windows", "failed", "severity", "expected", "last", "worst"), [_row(one) for one in step.expectations])
        say("")
        for one in [one for one in step.recent if one.failed][:RECENT]:
            at = datetime.fromtimestamp(one.at_ms / 1000, UTC).strftime("%H:%M:%S")
            say(f"{at}  {'; '.join(one.failed)}{'; the flow was paused' if one.paused else ''}")
    say(f"page: {page}")


def _row(one: Any) -> tuple[object, ...]:
    worst = "" if one.worst_percent is None else f"{one.worst_percent:.3g} %"
    failed = Text(f"{one.failed:,}", style="red" if one.failed else "green")
    return f"{one.windows:,}", failed, one.severity, one.sentence, one.observed, worst
