"""`weft review`: list, show and decide what waits for a person."""

import asyncio
import getpass
import time
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from ops.cli.output import Json, as_json, listing, say, table
from ops.cli.times import span
from ops.cli.times import told as readable
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.settings import load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List, show and decide what waits for a person.")

Flow = Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")]
Reviews = Annotated[list[str], typer.Argument(metavar="REVIEW...", help="The review's id or its beginning, or the event's id or position.")]
Why = Annotated[str, typer.Option(help="Why; it is kept in the ledger's details.")]
Who = Annotated[str | None, typer.Option(help="Who decides; else the user of this machine.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="COLUMN=JSON", help="What the asking step would have given.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for a worker.")]


@app.command("list", epilog="Examples:\n\n  weft review list departure-delays\n\n  weft review list departure-delays --json")
def list_(flow: Flow, json: Json = False) -> int:
    """List open reviews, the one that expires first in front."""
    from ops.daily.reviews import SHORT

    found = asyncio.run(_list(flow))
    now_ms = time.time_ns() // 1_000_000
    rows: list[dict[str, object]] = [
        {
            "id": one["id"][:SHORT],
            "event": one["event"],
            "step": one["step"],
            "rule": one["rule"],
            "expires in": span((one["due_ms"] - now_ms) / 1000),
            "why": one["sentence"],
        }
        for one in found
    ]
    listing(found if json else rows, json, "No review is open.")
    return Exit.DONE


@app.command(epilog="Examples:\n\n  weft review show departure-delays 3f9a1c20")
def show(flow: Flow, review: Annotated[str, typer.Argument(help="Its id or the beginning, or the event's id.")], json: Json = False) -> int:
    """Show one review: the event, the columns so far, who asked and why, and what an approval must set."""
    told = asyncio.run(_show(flow, review))
    if json:
        as_json(told)
        return Exit.DONE
    parts = ("columns", "input", "headers", "approve_sets")
    table(("what", "is"), [(name, item) for name, item in readable(told).items() if name not in parts and item not in ("", None)])
    for part in parts[:3]:
        if told[part]:
            say(f"\n{part}", "bold")
            table(("name", "value"), list(told[part].items()))
    sets = ", ".join(f"{name} ({kind})" for name, kind in told["approve_sets"].items())
    say(f"\nAn approval may set: {sets}." if sets else "\nAn approval sets nothing.")
    return Exit.DONE


@app.command(
    epilog='Examples:\n\n  weft review approve departure-delays 3f9a1c20 --why "called the gate"'
    "\n\n  weft review approve departure-delays 3f9a1c20 --set score=0.2 --why 'a known charter'"
)
def approve(flow: Flow, reviews: Reviews, why: Why, set_: Set = None, who: Who = None, timeout: Wait = 30.0, json: Json = False) -> int:
    """Let events go on at the step behind the one that asked."""
    return _decide(flow, reviews, ("approve", who, why, _columns(set_ or [])), timeout, json)


@app.command(epilog='Examples:\n\n  weft review reject departure-delays 3f9a1c20 --why "not our flight"')
def reject(flow: Flow, reviews: Reviews, why: Why, who: Who = None, timeout: Wait = 30.0, json: Json = False) -> int:
    """End events in quarantine."""
    return _decide(flow, reviews, ("reject", who, why, {}), timeout, json)


def _decide(flow: str, reviews: list[str], what: tuple[str, str | None, str, dict[str, Any]], timeout_s: float, json: bool) -> int:
    if not what[2].strip():
        raise UsageError("A decision needs a reason.", "Say it with --why.")
    told = asyncio.run(_decided(flow, reviews, what, timeout_s))
    if json:
        as_json(told)
    else:
        styles = {"decided": "green", "superseded": "yellow", "waiting": "yellow"}
        rows = [(one["review"][:8], one["event"], Text(one["outcome"], styles[one["outcome"]]), one["sentence"]) for one in told]
        table(("review", "event", "", "what became of it"), rows)
    return Exit.DONE if all(one["outcome"] == "decided" for one in told) else Exit.FAILED


async def _list(flow: str) -> list[dict[str, Any]]:
    from ops.daily.desk import desk
    from ops.daily.reviews import open_reviews

    async with desk(load(), flow) as open_:
        return [review.as_json() for review in await open_reviews(open_)]


async def _show(flow: str, review: str) -> dict[str, Any]:
    from ops.daily.desk import desk
    from ops.daily.reviews import chosen, described, open_reviews

    async with desk(load(), flow) as open_:
        return described(open_, chosen(await open_reviews(open_), review, flow))


async def _decided(
    flow: str, reviews: list[str], what: tuple[str, str | None, str, dict[str, Any]], timeout_s: float
) -> list[dict[str, Any]]:
    from ops.daily.desk import desk
    from ops.daily.reviews import chosen, decide, decided_now, open_reviews
    from schemas.decision import Action

    action, who, why, columns = what
    async with desk(load(), flow) as open_:
        known = await open_reviews(open_)
        meant = list({one.id: one for one in (chosen(known, wanted, flow) for wanted in reviews)}.values())
        made = decided_now(Action(action), who or getpass.getuser(), why, columns)
        return [one.as_json() for one in await decide(open_, meant, made, timeout_s)]


def _columns(pairs: list[str]) -> dict[str, Any]:
    """`column=JSON`, each; a text needs no quotes."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise UsageError(f"--set {pair} names no value", "Write it like --set score=0.2")
        try:
            found[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            found[name] = value
    return found
