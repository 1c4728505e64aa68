"""`weft up`, `down`, `status`, `logs`: the local stack."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, bars, say, table
from ops.stack.local import LocalStack, PartStatus
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.settings import load

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
) -> None:
    """End the local stack; no process stays behind, also after a start that was cut short. The data stays.

    Examples:

      weft down

      weft down --only redis

      weft down --wipe
    """
    if wipe and only:
        raise UsageError("--wipe deletes the data of all parts; it does not go with --only.", "Leave one of them out.")
    stack = LocalStack(load())
    with bars() as progress:
        ended = stack.down(_names(only), progress)
    if wipe:
        stack.wipe()
    say(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def status(only: Only = "", json: Json = False) -> Exit:
    """Show the parts of the local stack. Exit code 3 where one of them does not answer.

    Examples:

      weft status

      weft status --json
    """
    parts = LocalStack(load()).status(_names(only))
    if json:
        as_json([part.as_json() for part in parts])
    else:
        table(("part", "state", "address", "memory", "up", "process"), [_row(part) for part in parts])
    return Exit.DONE if all(part.state == "running" for part in parts) else Exit.UNREACHABLE


def logs(
    part: Annotated[str, typer.Argument(help="The part: kafka, redis, ...")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is logged, until interrupted.")] = False,
) -> None:
    """Show what a part of the local stack logged.

    Examples:

      weft logs kafka

      weft logs redis --follow
    """
    log = LocalStack(load()).parts([part])[0].log_file
    if not log.exists():
        raise UsageError(f"{part} has logged nothing yet.", "Start it with `weft up`.")
    position = _print_last(log, lines)
    while follow:
        position = _print_from(log, position)
        time.sleep(FOLLOW_S)


def _names(only: str) -> Sequence[str]:
    return [name.strip() for name in only.split(",") if name.strip()]


def _row(part: PartStatus) -> Sequence[object]:
    state = Text(part.state, style=COLOURS[part.state])
    running = part.pid is not None
    memory = f"{part.memory_bytes / 1e6:.0f} MB" if running else ""
    return part.name, state, next(iter(part.addresses.values())), memory, f"{part.up_s:.0f} s" if running else "", part.pid or ""


def _print_last(log: Path, lines: int) -> int:
    text = log.read_bytes()
    last = text.splitlines(keepends=True)[-lines:] if lines else []
    typer.echo(b"".join(last).decode(errors="replace"), nl=False)
    return len(text)


def _print_from(log: Path, position: int) -> int:
    """What came since; a log that was begun anew is read from its start."""
    if log.stat().st_size < position:
        position = 0
    with log.open("rb") as file:
        file.seek(position)
        text = file.read()
    typer.echo(text.decode(errors="replace"), nl=False)
    return position + len(text)
