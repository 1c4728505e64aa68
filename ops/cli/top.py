"""`weft top`: how flows on this machine are doing right now."""

import sys
import time
from typing import Annotated, Any

import typer

from ops.cli.output import Json, console, json_text
from schemas.errors import UnreachableError
from schemas.vocabulary import Exit
from streams.settings import load


def top(
    flow: Annotated[str | None, typer.Argument(metavar="[FLOW]", help="The flow's name; else every flow that runs from here.")] = None,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end; exit code 3 where no worker answers.")] = False,
    json: Json = False,
) -> int:
    """Watch events a second, outcomes, lag, step times, what waits, breakers, reviews and workers, until ctrl-C.

    Workers are asked on loopback; one that goes away is shown as gone. --json prints a line for every look, with --once one.

    Examples:

      weft top

      weft top departure-delays --interval 1

      weft top departure-delays --once --json
    """
    from ops.top.workers import Workers

    data = load().data_folder
    with Workers(data, flow) as workers:
        if not once and not json and sys.stdout.isatty():
            _live(workers, interval, str(data))
            return Exit.DONE
        before = workers.look()
        while True:
            time.sleep(min(interval, 1.0) if once else interval)
            before, found = _told(workers, before, json, str(data))
            if once:
                if not any(view.up for view in found):
                    raise UnreachableError(f"no worker of {flow or 'any flow'} answers", "weft status shows what runs")
                return Exit.DONE


def _told(workers: Any, before: Any, json: bool, data: str) -> tuple[Any, Any]:
    """One look, printed."""
    from ops.top.drawn import drawn
    from ops.top.view import views

    now = workers.look()
    found = views(before, now)
    if json:
        sys.stdout.write(json_text([view.as_json() for view in found]))
        sys.stdout.flush()
    else:
        console().print(drawn(found, data))
    return now, found


def _live(workers: Any, interval: float, data: str) -> None:
    """The view on a terminal, drawn over itself."""
    from rich.live import Live

    from ops.top.drawn import drawn
    from ops.top.view import views

    before = workers.look()
    with Live(drawn(views(None, before), data), console=console(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            now = workers.look()
            live.update(drawn(views(before, now), data), refresh=True)
            before = now
