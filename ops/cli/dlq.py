"""`weft dlq`: list, show and redrive dead letters."""

import asyncio
from collections import Counter
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, say, table
from ops.cli.times import told as readable
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.settings import load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List, show and redrive dead letters.")

Flow = Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")]
Reason = Annotated[str, typer.Option(help="Only those of this reason, e.g. invalid.")]
_DETAIL_CHARS = 100


@app.command("list", epilog="Examples:\n\n  weft dlq list departure-delays\n\n  weft dlq list departure-delays --reason invalid --json")
def list_(
    flow: Flow, reason: Reason = "", limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20, json: Json = False
) -> int:
    """Count dead letters by reason and step, and show the newest."""
    told = asyncio.run(_list(flow, reason, limit))
    if json:
        as_json(told)
        return Exit.DONE
    if not told["count"]:
        say("There are no dead letters" + (f" of reason {reason}." if reason else "."))
        return Exit.DONE
    table(("letters", "reason", "step"), [(f"{one['letters']:,}", one["reason"], one["step"]) for one in told["reasons"]])
    say(f"\nthe newest of {told['count']:,}:")
    cells = [[*list(one.values())[:4], _short(one["detail"]), one["generation"], _yes(one["redriven"])] for one in told["letters"]]
    table(("position", "event", "reason", "step", "detail", "generation", "redriven"), cells)
    return Exit.DONE


@app.command(epilog="Examples:\n\n  weft dlq show departure-delays 0/12\n\n  weft dlq show departure-delays flights.departures/2/1234")
def show(flow: Flow, position: Annotated[str, typer.Argument(help="Of the letter, or of its event.")], json: Json = False) -> int:
    """Show one dead letter: why, every header, and its value decoded and byte by byte."""
    told = asyncio.run(_show(flow, position))
    if json:
        as_json(told)
        return Exit.DONE
    plain = {name: item for name, item in readable(told).items() if name not in ("headers", "value", "hexdump") and item not in ("", None)}
    table(("what", "is"), list(plain.items()))
    say("\nheaders", "bold")
    table(("name", "value"), list(told["headers"].items()))
    if told["value"]:
        say("\nvalue", "bold")
        table(("column", "value"), list(told["value"].items()))
    say("\nbytes", "bold")
    say("\n".join(told["hexdump"]) or "none")
    return Exit.DONE


@app.command(
    epilog="Examples:\n\n  weft dlq redrive departure-delays 0/12 2/7"
    "\n\n  weft dlq redrive departure-delays --reason model-unavailable --yes"
)
def redrive(
    flow: Flow,
    positions: Annotated[list[str] | None, typer.Argument(metavar="[POSITION]...", help="Of letters, or of their events.")] = None,
    reason: Reason = "",
    every: Annotated[bool, typer.Option("--all", help="All that were not redriven yet.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for a worker.")] = 60.0,
    json: Json = False,
) -> int:
    """Send dead letters again, each as the next generation of its event, and say what became of each."""
    if sum((bool(positions), bool(reason), every)) != 1:
        raise UsageError("Which dead letters?", "Name their positions, or --reason REASON, or --all.")
    told = asyncio.run(_redrive(flow, positions or [], reason, (yes or bool(positions), timeout)))
    if json:
        as_json(told)
    elif told:
        cells = [[one["letter"], one["event"], one["generation"], _styled(one["outcome"]), _short(one["sentence"])] for one in told]
        table(("letter", "event", "generation", "", "what became of it"), cells)
    else:
        say("There is nothing to redrive.")
    return Exit.DONE if all(one["outcome"] == "started" for one in told) else Exit.FAILED


async def _list(flow: str, reason: str, limit: int) -> dict[str, Any]:
    from ops.daily.desk import desk
    from ops.daily.letters import generations, letters

    async with desk(load(), flow) as open_:
        found = [letter async for letter in letters(open_, reason)]
        started = await generations(open_)
    counts = Counter((letter.reason, letter.step) for letter in found)
    recent = sorted(found, key=lambda letter: (letter.row.timestamp_ms, letter.row.position))[-limit:]
    reasons = [{"reason": reason, "step": step, "letters": count} for (reason, step), count in counts.most_common()]
    return {"flow": flow, "count": len(found), "reasons": reasons, "letters": [letter.as_json(started) for letter in recent]}


async def _show(flow: str, position: str) -> dict[str, Any]:
    from ops.daily.desk import desk
    from ops.daily.letters import described, letter_at

    async with desk(load(), flow) as open_:
        return described(open_, await letter_at(open_, position))


async def _redrive(flow: str, positions: list[str], reason: str, how: tuple[bool, float]) -> list[dict[str, Any]]:
    from ops.daily.desk import desk
    from ops.daily.letters import generations, letter_at, letters
    from ops.daily.redrive import redrive as send

    sure, timeout_s = how
    async with desk(load(), flow) as open_:
        if positions:
            chosen = [await letter_at(open_, position) for position in positions]
        else:
            started = await generations(open_)
            chosen = [
                letter
                async for letter in letters(open_, reason)
                if letter.generation is not None and started.get(letter.root, 0) == letter.generation
            ]
        if chosen and not sure:
            typer.confirm(f"Redrive {len(chosen):,} dead letters of {flow}?", abort=True, err=True)
        return [one.as_json() for one in await send(open_, chosen, timeout_s)]


def _short(sentence: str) -> str:
    first = sentence.splitlines()[0] if sentence else ""
    return first if len(first) <= _DETAIL_CHARS else first[: _DETAIL_CHARS - 3] + "..."


def _yes(so: bool) -> str:
    return "yes" if so else ""


def _styled(outcome: str) -> Text:
    return Text(outcome, {"started": "green", "superseded": "yellow", "waiting": "yellow", "refused": "red"}[outcome])
