"""`weft sink`: hand a flow's results to another system."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, console, listing, say
from ops.flow.excerpt import lines_of, shown
from processors.flow.project import FolderProject
from schemas.errors import UsageError
from schemas.positions import Source
from schemas.vocabulary import Exit
from streams.settings import load

GROUP = "weft.sink."
"""The consumer group of a sink begins so; only its committed offsets are used."""

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Hand a flow's results to another system, each once.")

Name = Annotated[str, typer.Argument(metavar="SINK", help="The sink's name: sinks/<name>.yaml.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the project's sinks.

    Example:

      weft sink list --json
    """
    from ops.sinks.file import check, names

    project = _project()
    found = [check(project, name) for name in names(project)]
    rows = [{"sink": one.name, "flow": one.flow, "to": one.word, "mistakes": len(one.mistakes), "file": one.page.file} for one in found]
    listing(rows, json, "There is no sink. Write sinks/<name>.yaml in the project folder.")


@app.command("check")
def check_(
    sinks: Annotated[list[str] | None, typer.Argument(metavar="[SINK]...", help="Sinks by name; else all.")] = None, json: Json = False
) -> int:
    """Check sink files, and say all mistakes with their places.

    Example:

      weft sink check
    """
    from ops.sinks.file import check, names

    project = _project()
    found = [check(project, name) for name in sinks or names(project)]
    if json:
        keys = ("file", "line", "column", "sentence", "hint")
        as_json([{"sink": one.name, "mistakes": [{key: getattr(each, key) for key in keys} for each in one.mistakes]} for one in found])
    else:
        for one in found:
            for mistake in one.mistakes:
                console().print(shown(mistake, lines_of(mistake.file, project)))
            if not one.mistakes:
                say(f"{one.name} has no mistakes: results of {one.flow} -> {one.word}", "green")
    return Exit.USAGE if any(one.mistakes for one in found) else Exit.DONE


@app.command()
def run(
    sink: Name,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when all results there are have been sent.")] = False,
    json: Json = False,
) -> int:
    """Send a flow's results, until ctrl-C. A run that was ended, however it was, sends nothing twice and passes nothing over.

    Examples:

      weft sink run decisions

      weft sink run decisions --until-idle --json
    """
    from ops.sinks.run import Tally

    tally = Tally()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(sink, until_idle, tally))
    if json:
        as_json({"sink": sink, "sent": tally.sent, "known": tally.known, "aside": tally.aside})
    else:
        say(f"{sink}: {tally.sent:,} results were sent; {tally.known:,} had arrived before.", "green")
        if tally.aside:
            say(f"{tally.aside:,} records were set aside: the flow did not write them.", "yellow")
    return Exit.DONE


async def _run(name: str, until_idle: bool, tally: Any) -> None:
    from connectors.kafka.admin import KafkaAdmin
    from ops.daily.desk import desk
    from ops.daily.results import as_json as read
    from ops.sinks.file import check
    from ops.sinks.run import Outlet
    from ops.sinks.run import run as send
    from ops.stack.services import kafka

    settings, project = load(), _project()
    checked = check(project, name)
    opened = checked.open(project)
    try:
        with _alone(settings.data_folder, name):
            async with desk(settings, checked.flow) as open_:
                kept = _Committed(KafkaAdmin(kafka(settings)), f"{GROUP}{name}")
                topic = open_.flow.topics.result
                await send(Outlet(open_.reader, topic, checked.flow, lambda row: read(open_, row), opened, kept, say), until_idle, tally)
    finally:
        await opened.close()


@contextlib.contextmanager
def _alone(data: Any, name: str) -> Iterator[None]:
    """Two runs of one sink would ask, and then both send."""
    import fcntl

    file = data / "sinks" / f"{name}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"the sink {name} runs already from {data}", "End that run first.") from error
        yield


@dataclass(frozen=True)
class _Committed:
    """Progress as committed offsets."""

    admin: Any
    group: str

    async def load(self) -> Mapping[Source, int]:
        """See Progress."""
        return {source: commit.offset for source, commit in (await self.admin.offsets(self.group)).items()}

    async def save(self, next_: Mapping[Source, int]) -> None:
        """See Progress."""
        await self.admin.commit(self.group, next_)


def _project() -> FolderProject:
    return FolderProject(load().project_folder)
