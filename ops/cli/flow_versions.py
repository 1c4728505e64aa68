"""`weft flow versions`, `diff` and `rollback`: what was applied, what a change changes, and the way back."""

import asyncio
from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, listing, say
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.registry import project_of
from streams.settings import load

Name = Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")]
Sides = Annotated[list[str], typer.Argument(metavar="OLD [NEW]", help="FLOW (its file), FLOW@VERSION (as applied), or a flow file's path.")]


def versions(flow: Name, json: Json = False) -> None:
    """List every version of a flow that was applied. Rows that wait end under the version that they began with.

    Example:

      weft flow versions departure-delays
    """
    from ops.flow.rollback import read_versions, told

    rows = told(asyncio.run(read_versions(load())), flow)
    if not json:
        rows = [{**row, "applied": "yes" if row["applied"] else ""} for row in rows]
    listing(rows, json, f"No version of {flow} was ever applied.")


def diff(sides: Sides, json: Json = False) -> int:
    """Say what differs between two versions of a flow: steps, columns, models, limits, topics, files.

    One alone is compared with what is applied (a name, a file) or with the project's file (a version).

    Examples:

      weft flow diff departure-delays

      weft flow diff departure-delays@1.0.0 departure-delays@1.1.0

      weft flow diff old/departure-delays.yaml departure-delays --json
    """
    from ops.flow.diff import differences
    from ops.flow.rollback import read_versions
    from ops.flow.sides import needs_applied
    from ops.flow.sides import sides as two
    from processors.flow.bundle import Applied

    if len(sides) > 2:
        raise UsageError("only two versions can be compared")
    settings = load()
    applied = asyncio.run(read_versions(settings)) if needs_applied(sides) else Applied()
    old, new = two(sides, project_of(settings), applied)
    found = differences(old.checked, new.checked)
    if json:
        as_json({"old": old.label, "new": new.label, "differences": _plain(found)})
        return Exit.DONE
    say(f"{old.label} -> {new.label}", "bold")
    for one in found:
        say(f"  {one.sentence}")
    if not found:
        say("  nothing differs")
    elif not any(one.about == "version" for one in found):
        say("The version is the same. A new behaviour is a new version: raise `version` before it is applied.", "yellow")
    return Exit.DONE


def rollback(
    flow: Name,
    to: Annotated[str, typer.Option(metavar="VERSION", help="The version to go back to; else the highest below the one applied.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do and change nothing.")] = False,
    json: Json = False,
) -> int:
    """Apply an older version again, as it was, whatever the files say now. Workers drain and go over; rows that wait lose nothing.

    Examples:

      weft flow rollback departure-delays --dry-run

      weft flow rollback departure-delays --to 1.0.0 --yes
    """
    from ops.flow.applying import Applying, run_apply
    from ops.flow.rollback import plan_rollback

    if json and not (yes or dry_run):
        raise UsageError("with --json nobody can be asked", "Add --yes, or --dry-run to see what it would do.")
    settings = load()
    asked = Applying(settings, project_of(settings), flow, 1, False)
    plan, changes = asyncio.run(plan_rollback(asked, to))
    ident = f"{flow}@{plan.bundle.version}"
    if json:
        as_json({"to": ident, "changes": [change.as_json() for change in plan.changes], "differences": _plain(changes)})
    else:
        say(f"to {ident}:" if plan.changes else f"{ident} is applied already; nothing is to be done.", "bold")
        for one in changes:
            say(f"  {one.sentence}")
    if dry_run or not plan.changes:
        return Exit.DONE
    if not yes and not typer.confirm(f"Go back to {ident}?"):
        say("Nothing was changed.")
        return Exit.FAILED
    asyncio.run(run_apply(asked, plan))
    if not json:
        say(f"{ident} is applied. Rows that wait end under the version that they began with.", "green")
    return Exit.DONE


def _plain(found: Any) -> list[dict[str, str]]:
    return [{"about": one.about, "what": one.what, "was": one.was, "now": one.now, "note": one.note} for one in found]
