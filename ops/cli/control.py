"""`weft flow pause` and `weft flow resume`: every worker of the flow hears it, also one that starts later."""

import asyncio
import getpass
import time
from typing import Annotated

import typer

from ops.cli.output import say
from schemas.vocabulary import Exit
from streams.settings import load

Name = Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")]
Who = Annotated[str | None, typer.Option(help="Who says so; else the user of this machine.")]


def pause(flow: Name, why: Annotated[str, typer.Option(help="Why, for whoever wonders.")], who: Who = None) -> int:
    """Stop fetching events of a flow; what is in flight ends. Workers stay up.

    Example:

      weft flow pause departure-delays --why "the model server is moved"
    """
    asyncio.run(_say(flow, True, who or getpass.getuser(), why))
    say(f"{flow} is paused. Go on with: weft flow resume {flow}")
    return Exit.DONE


def resume(flow: Name, why: Annotated[str, typer.Option(help="Why, for whoever wonders.")] = "", who: Who = None) -> int:
    """Go on with a paused flow.

    Example:

      weft flow resume departure-delays
    """
    asyncio.run(_say(flow, False, who or getpass.getuser(), why))
    say(f"{flow} goes on.")
    return Exit.DONE


async def _say(flow: str, paused: bool, who: str, why: str) -> None:
    from connectors.kafka.admin import KafkaAdmin
    from connectors.kafka.publisher import KafkaPublisher
    from connectors.kafka.reader import KafkaReader
    from ops.flow.applied import applied_now
    from ops.stack import services
    from schemas.errors import UsageError
    from streams.control import FlowPaused
    from streams.control import say as tell

    kafka = services.kafka(load())
    reader, publisher = KafkaReader(kafka), KafkaPublisher(kafka)
    try:
        if not (await applied_now(KafkaAdmin(kafka), reader)).versions(flow):
            raise UsageError(f"the flow {flow} is not applied", f"run: weft flow apply {flow}")
        await tell(publisher, [FlowPaused(flow=flow, paused=paused, who=who, why=why, at_ms=time.time_ns() // 1_000_000)])
    finally:
        await publisher.close()
        await reader.close()
