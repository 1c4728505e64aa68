"""`weft disk`: how much disk a flow's topics take, and for how long they keep it."""

import asyncio
from typing import Annotated

import typer

from ops.cli.output import Json, as_json, say, table
from streams.settings import load


def disk(flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")], json: Json = False) -> None:
    """Show how much of the brokers' disks each topic of a flow takes, now and for a million events, and how long it keeps records.

    Measured by asking the brokers; every replica counts.

    Examples:

      weft disk departure-delays

      weft disk departure-delays --json
    """
    from ops.flow.disk import disk_of, sized
    from ops.stack import services
    from processors.flow.project import FolderProject

    settings = load()
    found = asyncio.run(disk_of(services.kafka(settings), FolderProject(settings.project_folder), flow))
    if json:
        as_json([one.as_json() for one in found])
        return
    rows = [(one.topic, one.kind, f"{one.records:,}", sized(one.bytes), sized(one.per_million), one.kept) for one in found]
    table(("topic", "is", "records", "on disk", "per million events", "kept"), rows)
    say(f"all: {sized(sum(one.bytes for one in found))}; for a million events {sized(sum(one.per_million or 0 for one in found))}")
