"""`weft explain`: how one decision came about."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, console, say, table, visible, worded
from ops.cli.times import when
from schemas.vocabulary import Exit
from streams.settings import load

_STYLES = {"result": "green", "dead-letter": "red", "quarantine": "magenta", "review": "yellow", "retry": "yellow"}


def explain(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    event: Annotated[str, typer.Argument(help="The event's id, or a position (of the event, or of what came out).")],
    json: Json = False,
) -> int:
    """Show how one decision came about: input, what each step gave, model, score, outcome, every pass, and where it is proven.

    Examples:

      weft explain departure-delays UA-1545-EWR-20130101T0515

      weft explain departure-delays flights.departures/2/1234 --json
    """
    told = asyncio.run(_explained(flow, event))
    if json:
        as_json(told)
        return Exit.DONE
    for one in told["events"]:
        _print(one)
    if len(told["events"]) > 1:
        say(f"\n{len(told['events'])} events have the id {_short(event)}: a producer's duplicate is a second event.", "yellow")
    say(f"\nA receipt of it: weft audit receipt {flow} {told['events'][0]['position']}", "dim")
    return Exit.DONE


async def _explained(flow: str, event: str) -> dict[str, Any]:
    from ops.daily.desk import desk
    from ops.daily.explain import explain as told

    async with desk(load(), flow) as open_:
        return await told(open_, event)


def _print(event: Mapping[str, Any]) -> None:
    ident = visible(event["event"], one_line=True)
    console().print(Text.assemble((ident, "bold"), f"  {event['position']}  ", (event["ended"], _STYLES.get(event["ended"], ""))))
    taken = event["input"]
    say("\ninput" + (f", written {when(taken['written_ms'])}, key {_short(taken['key'])}" if "written_ms" in taken else ""), "bold")
    if wrong := taken.get("gone") or taken.get("unreadable"):
        say(wrong, "yellow")
    if taken.get("value"):
        table(("column", "value"), list(taken["value"].items()))
    if taken.get("headers"):
        table(("header", "value"), list(taken["headers"].items()))
    for one in event["passes"]:
        _print_pass(one, taken.get("value") or {})


def _print_pass(one: Mapping[str, Any], taken: Mapping[str, Any]) -> None:
    cause = one["cause"]
    say(f"\npass {one['pass']} of generation {one['generation']}: {_caused(cause)}", "bold")
    say(f"consumed at {one['position']} by {one['flow']}", "dim")
    for step in one["steps"]:
        columns = {name: value for name, value in step["columns"].items() if str(taken.get(name)) != str(value)}
        if columns:
            say(f"  {step['step'] or 'other columns'}: " + ", ".join(f"{name}={_short(value)}" for name, value in columns.items()))
    reason = "".join(f", {word} {one[word]}" for word in ("reason", "rule", "model") if one[word])
    style = _STYLES.get(one["verdict"], "")
    console().print(Text.assemble("  => ", (one["verdict"], style), reason, (", degraded" if one["degraded"] else "", "yellow")))
    if one["why"]:
        at = f"at {one['left_at']}: " if one["left_at"] else ""
        say(f"     {at}{one['why'].splitlines()[0]}")
    if one["outcome"]:
        say(f"     outcome at {one['outcome']['position']}", "dim")
    proof = one["proof"]
    covered = f"signed at size {proof['signed_at_size']:,}" if proof["signed_at_size"] else "not signed yet"
    say(f"     leaf {proof['index']:,} of {proof['tree']}, {covered}; block {proof['block']}, {when(proof['written_ms'])}", "dim")


def _caused(cause: Mapping[str, Any]) -> str:
    match cause["kind"]:
        case "event":
            return "the event came"
        case "retry":
            return "a retry fell due"
        case "redrive":
            return "its dead letter was redriven"
        case "expire":
            return "nobody decided in time"
        case "approve" | "reject" as action:
            verb = "approved" if action == "approve" else "rejected"
            chosen = f", with {cause['set']}" if cause["set"] else ""
            return f"{_short(cause['who'])} {verb} it{chosen}, {when(cause['at_ms'])}: {_short(cause['why'])}"
        case other:
            return str(other)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else visible(worded(value), one_line=True)
