"""`weft report`: one page with plots about what became of a flow's events."""

import asyncio
import time
import webbrowser
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, bars, say
from schemas.vocabulary import Exit
from streams.settings import load


def report(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file; else FLOW-report.html here.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    json: Json = False,
) -> int:
    """Write one HTML page, that needs nothing else, about outcomes, drift, quality, latency, models, reviews and the ledger.

    It is read from the topics alone. --json prints the figures behind it; the page is then written only where --out says.

    Examples:

      weft report departure-delays --open

      weft report departure-delays --out july.html

      weft report departure-delays --json
    """
    from ops.report.files import written

    figures = asyncio.run(_gathered(flow))
    file = written(figures, out or Path(f"{flow}-report.html")) if out or not json else None
    if json:
        as_json(figures)
    elif file is not None:
        outcomes = figures["outcomes"]
        say(f"{file}: {outcomes['events']:,} events of {flow}, {outcomes['ended']:,} ended; {file.stat().st_size / 1000:.0f} kB.")
    if open_ and file is not None and not webbrowser.open(file.resolve().as_uri()):
        say("No browser was found to show it.")
    return Exit.DONE


async def _gathered(flow: str) -> Mapping[str, Any]:
    from ops.daily.desk import desk
    from ops.report.gather import gather

    settings = load()
    async with desk(settings, flow) as at:
        with bars() as progress:
            told = partial(progress, "reading the ledger")
            return await gather(at, time.time_ns() // 1_000_000, told, settings.data_folder)
