"""`weft flow accept-gap`: go on with a partition whose records were lost, and put that on record."""

import asyncio
import getpass
from typing import Annotated

import typer

from ops.cli.output import say
from schemas.errors import UsageError
from schemas.positions import Source
from schemas.vocabulary import Exit
from streams.settings import load


def accept_gap(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    partition: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION", help="The partition that its workers refuse.")],
    why: Annotated[str, typer.Option(help="Why the records are given up; the ledger keeps it for ever.")],
    who: Annotated[str | None, typer.Option(help="Who accepts it; else the user of this machine.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Go on with a partition of a stopped flow whose records were lost. The ledger says who gave them up, and why.

    Example:

      weft flow accept-gap departure-delays flights.departures/2 --why "deleted by retention, see INC-81"
    """
    topic, _, number = partition.rpartition("/")
    if not topic or not number.isdecimal():
        raise UsageError(f"{partition} is no partition", "Write it as TOPIC/PARTITION, as the worker's error does.")
    if not why.strip():
        raise UsageError("nothing says why", "The ledger keeps it: --why TEXT")
    return asyncio.run(_accept(flow, Source(topic, int(number)), (who or getpass.getuser(), why.strip()), yes))


async def _accept(flow: str, source: Source, said: tuple[str, str], yes: bool) -> int:
    from connectors.kafka.outside import Outside
    from ops.audit.session import session
    from ops.flow.gap import accept, find_gap

    async with session(load(), flow) as opened:
        if opened.note:
            say(opened.note)
        outside = Outside(opened.kafka, flow)
        try:
            await outside.require_empty()
            gap = await find_gap(opened.reader, opened.subject, source, await outside.committed(source))
            say(f"{gap.refusal}.")
            say(f"The tree of {gap.tree.size} leaves ends before offset {gap.first}; the flow would go on at {gap.next}.")
            if not yes and not typer.confirm("Give up what lies between?"):
                say("Nothing was changed.")
                return Exit.FAILED
            await accept(outside, opened.subject, gap, *said)
        finally:
            await outside.close()
    say(f"{source} goes on at offset {gap.next}. weft audit verify {flow} prints the gap.", "green")
    return Exit.DONE
