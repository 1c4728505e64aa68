"""`weft drift`: make the reference that a flow's `drift` step compares with."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.output import Json, as_json, say, table
from ops.cli.times import moment
from ops.reference import Stretch, Watch, from_file, from_topic, make, watch
from processors.drift.reference import Reference
from processors.flow.project import FolderProject
from streams.settings import Settings, load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make the reference that drift is measured against.")


@app.callback()
def group() -> None:
    """Make the reference that drift is measured against."""


@app.command(
    epilog="Examples:\n\n  weft drift reference departure-delays --from 2013-01-01 --to 2013-02-01"
    "\n\n  weft drift reference departure-delays --columns dep_delay,distance --events january.avro"
)
def reference(
    flow: Annotated[str, typer.Argument(help="The flow's name.")],
    columns: Annotated[str, typer.Option(help="Columns, separated by commas; else those that the flow's drift step watches.")] = "",
    start: Annotated[
        str | None, typer.Option("--from", help="First event time that counts, ISO 8601, UTC unless it says otherwise.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="First event time that counts no more.")] = None,
    name: Annotated[str | None, typer.Option(help="Of several drift steps, the one with this reference.")] = None,
    events: Annotated[Path | None, typer.Option(help="JSON lines or an Avro file; else the flow's input topic is read.")] = None,
    json: Json = False,
) -> None:
    """Take past events through the steps before `drift`, and keep how their columns are distributed. The same events give the same file."""
    settings = load()
    watched = watch(FolderProject(settings.project_folder), flow, [word.strip() for word in columns.split(",") if word.strip()], name)
    stretch = Stretch(moment(start, "--from"), moment(end, "--to"))
    made = asyncio.run(_made(settings, watched, stretch, events))
    file = watched.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(made.text(), "utf-8")
    if json:
        as_json({"file": str(file), "rows": made.rows, "columns": {key: len(column.edges) for key, column in made.columns.items()}})
        return
    table(("column", "bins", "null"), [(key, len(column.counts), f"{column.counts[0]:,}") for key, column in made.columns.items()])
    say(f"{file} is made of {made.rows:,} events.", "green")


async def _made(settings: Settings, watched: Watch, stretch: Stretch, events: Path | None) -> Reference:
    if events is not None:
        return await make(watched, from_file(watched, events), stretch)
    from connectors.kafka.reader import KafkaReader
    from ops.stack import services

    reader = KafkaReader(services.kafka(settings))
    try:
        return await make(watched, from_topic(watched, reader), stretch)
    finally:
        await reader.close()
