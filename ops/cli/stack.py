"""`weft up`, `down`, `status`, `logs`: the local stack, and the flows that run in the background."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, bars, say, table, visible
from ops.cli.times import span
from ops.stack import downloads
from ops.stack.local import PARTS, LocalStack, PartStatus
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.settings import Settings, load

Only = Annotated[str, typer.Option("--only", metavar="PART,PART", help="Only these parts.")]
FOLLOW_S = 0.3
COLOURS = {"running": "green", "starting": "yellow", "crashed": "red", "stopped": "dim"}


def up(
    only: Only = "",
    new_ports: Annotated[bool, typer.Option("--new-ports", help="Choose other ports than last time.")] = False,
) -> None:
    """Start the local stack and wait until all of it answers. What runs already is left alone.

    The data, the ports and the logs are in one folder (.weft), and stay there.

    Examples:

      weft up

      weft up --only kafka,redis

      weft --data /tmp/second up
    """
    stack = LocalStack(load())
    if new_ports:
        stack.new_ports()
    with bars() as progress:
        stack.up(_names(only), progress)
    for part in stack.status(_names(only)):
        say(f"{part.title} runs at {next(iter(part.addresses.values()))}")


def down(
    only: Only = "",
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete the data folder too.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the data folder, and what was downloaded for all stacks.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it is deleted.")] = False,
) -> None:
    """End the local stack; no process stays behind, also after a start that was cut short. The data stays.

    Flows that run in the background from this data folder are drained and ended first; not with --only.

    Examples:

      weft down

      weft down --only redis

      weft down --wipe --yes

      weft down --purge --yes
    """
    wipe = wipe or purge
    if wipe and only:
        raise UsageError("--wipe and --purge delete the data of all parts; they do not go with --only.", "Leave one of them out.")
    settings = load()
    stack, cache = LocalStack(settings), settings.cache_folder
    if wipe:
        _agreed(stack, cache if purge else None, yes)
    fetched_bytes = downloads.size_bytes(cache) if purge else 0
    if wipe:
        _clear_demo(settings)
    ended = [] if only else _stopped(stack.folder)
    with bars() as progress:
        ended += stack.down(_names(only), progress)
    if wipe and stack.folder.exists():
        stack.wipe()
        say(f"{stack.folder} is deleted")
    if purge:
        downloads.delete(cache)
        say(f"{fetched_bytes / 1e6:.0f} MB of downloads are deleted; the next start needs a network")
    say(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def _agreed(stack: LocalStack, cache: Path | None, yes: bool) -> None:
    """See that all of it is Weft's, that nobody else needs it, and that somebody agrees. Nothing there is nothing to ask."""
    named = [f"the downloads in {cache}"] if cache is not None else []
    if cache is not None:
        downloads.require_unused(cache, stack.folder)
    if stack.folder.exists():
        stack.parts()  # refuses a folder that is not Weft's
        named.insert(0, f"{stack.folder} and all that is in it")
    if named:
        _confirm(", and ".join(named), yes)


def _confirm(named: str, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"Nobody can be asked whether to delete {named}.", "Add --yes.")
    if not yes:
        typer.confirm(f"Delete {named}?", abort=True, err=True)


def _clear_demo(settings: Settings) -> None:
    """End a demo's stack that was kept: its data lie in the folder that is deleted.

    Raises:
        UsageError: a demo runs there.
    """
    from ops.demo.place import Place, alone

    place = Place.of(settings, serve=True)
    if place.folder.is_dir():
        with alone(place):
            place.clear()


def _stopped(data: Path) -> list[str]:
    """End the runs that nobody sits before."""
    from ops.run.runs import runs

    ended = []
    for run in runs(data):
        if run.daemon.started or run.daemon.members():
            stopped = run.stop()
            ended.append(run.flow + ("" if stopped.drained else " (not drained: what was in flight is read again at the next run)"))
    return ended


def status(only: Only = "", json: Json = False) -> Exit:
    """Show the parts of the local stack, and the flows that run. Exit code 3 where one of them does not answer.

    Examples:

      weft status

      weft status --json
    """
    from ops.run.runs import runs

    stack = LocalStack(load())
    parts = stack.status(_names(only))
    if not only:
        parts += [status for run in runs(stack.folder) if (status := run.status()) is not None]
    if json:
        as_json([part.as_json() for part in parts])
    else:
        table(("part", "state", "address", "memory", "up", "process"), [_row(part) for part in parts])
    return Exit.DONE if all(part.state == "running" for part in parts) else Exit.UNREACHABLE


def logs(
    part: Annotated[str, typer.Argument(metavar="PART|FLOW", help="kafka, redis, ...; a flow, or a worker of it: departure-delays/0")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is logged, until interrupted.")] = False,
) -> None:
    """Show what a part of the local stack logged, or a flow that runs in the background, or a worker of it.

    Examples:

      weft logs kafka

      weft logs redis --follow

      weft logs departure-delays/0 --follow
    """
    log, hint = _log(part)
    if not log.exists():
        raise UsageError(f"{part} has logged nothing yet.", hint)
    position = _print_last(log, lines)
    while follow:
        position = _print_from(log, position)
        time.sleep(FOLLOW_S)


def _log(name: str) -> tuple[Path, str]:
    """Where it logs, and what to do if it never did."""
    from ops.run.runs import Run
    from streams.slot import Slot

    settings = load()
    flow, _, slot = name.partition("/")
    run = Run(settings.data_folder, flow)
    if flow in PARTS or not run.folder.is_dir():
        return LocalStack(settings).parts([name])[0].log_file, "Start it with `weft up`."
    workers = f"Its workers' logs: weft logs {flow}/0, {flow}/1, ..."
    if not slot:
        return run.daemon.output_file, workers
    if not slot.isdigit():
        raise UsageError(f"{flow} has no worker {slot!r}.", workers)
    return Slot(flow, int(slot), 1, settings.data_folder).log_file, workers


def _names(only: str) -> Sequence[str]:
    return [name.strip() for name in only.split(",") if name.strip()]


def _row(part: PartStatus) -> Sequence[object]:
    state = Text(part.state, style=COLOURS[part.state])
    running = part.pid is not None
    memory = f"{part.memory_bytes / 1e6:.0f} MB" if running else ""
    return part.name, state, next(iter(part.addresses.values())), memory, span(part.up_s) if running else "", part.pid or ""


def _print_last(log: Path, lines: int) -> int:
    text = log.read_bytes()
    last = text.splitlines(keepends=True)[-lines:] if lines else []
    typer.echo(visible(b"".join(last).decode(errors="replace")), nl=False)
    return len(text)


def _print_from(log: Path, position: int) -> int:
    """What came since; a log that was begun anew is read from its start."""
    if log.stat().st_size < position:
        position = 0
    with log.open("rb") as file:
        file.seek(position)
        text = file.read()
    typer.echo(visible(text.decode(errors="replace")), nl=False)
    return position + len(text)
