"""`weft produce`: send events to a flow's input topic."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, bars, console, say, table, visible
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.settings import load


def produce(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many events; else all.")] = None,
    rate: Annotated[str, typer.Option(metavar="N/s", help="So many events a second; else as fast as it goes.")] = "",
    hostile: Annotated[bool, typer.Option("--hostile", help="Then a labelled handful of records that are meant to be wrong.")] = False,
    file: Annotated[Path | None, typer.Option("--from", metavar="FILE", help="JSON lines, CSV or Avro; else the example's events.")] = None,
    lookups: Annotated[bool, typer.Option(help="Also load what the example's flow looks up into Redis.")] = True,
    json: Json = False,
) -> int:
    """Send events to a flow's input topic: by default the example's, like every 2013 departure from New York.

    Examples:

      weft produce departure-delays --limit 10000 --hostile

      weft produce departure-delays --rate 500/s

      weft produce loan-decisions

      weft produce my-flow --from customers.csv

      weft produce my-flow --from events.ndjson --json
    """
    from ops.daily.produce import Asked, Sent
    from ops.daily.produce import produce as send

    asked, sent = Asked(limit, per_second(rate), hostile, file, lookups), Sent(flow)
    try:
        with bars() as progress:
            asyncio.run(send(load(), sent, asked, progress))
    except KeyboardInterrupt:
        _told(sent, json, interrupted=True)
        raise
    _told(sent, json, interrupted=False)
    return Exit.DONE


def _told(sent: Any, json: bool, interrupted: bool) -> None:
    """What is on the topic."""
    if sent.unmatched is not None:
        _compared(sent.unmatched)
    if json:
        as_json(sent.as_json() | {"interrupted": interrupted})
        return
    if sent.lookups:
        say(f"{sent.lookups:,} {sent.looked_up} are in Redis.")
    if sent.hostile:
        table(("hostile record", "position", "must end as", "reason"), [list(one.values()) for one in sent.hostile])
    pace = f", {sent.events / sent.seconds:,.0f}/s" if sent.seconds > 0 and sent.events else ""
    if not sent.seconds:
        say("Interrupted before an event was sent.", "yellow")
    elif interrupted:
        say(f"Interrupted: {sent.events:,} events are on {sent.topic}, after {sent.seconds:.1f} s; the rest was not sent.", "yellow")
    else:
        say(f"{sent.events:,} events are on {sent.topic} in {sent.seconds:.1f} s{pace}.", "green")


def _compared(unmatched: Any) -> None:
    """How a CSV file's columns fit the events, on standard error."""
    out = console(stderr=True)
    if unmatched.left_out:
        out.print(Text(visible(f"Left out, since the events have no such field: {', '.join(f'`{name}`' for name in unmatched.left_out)}.")))
    for one in unmatched.filled:
        out.print(Text(visible(str(one)), style="yellow"))


def per_second(rate: str) -> float:
    """Events a second out of `500/s` or `500`; 0 for no rate.

    Raises:
        UsageError: it is none.
    """
    if not rate:
        return 0.0
    try:
        found = float(rate.removesuffix("/s"))
    except ValueError:
        found = 0.0
    if not 0 < found <= 1e9:
        raise UsageError(f"{rate} is no rate", "Write events a second, like 500/s.")
    return found
