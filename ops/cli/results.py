"""`weft results`: what a flow decided."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli.output import Json, console, json_text, visible, worded
from schemas.vocabulary import Exit
from streams.settings import load

_TOLD = ("model", "degraded")


def results(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those to come, until ctrl-C.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="So many: the newest (20 if not said), or with --from the first.")] = None,
    begin: Annotated[str, typer.Option("--from", help="start, end, or a position as topic/partition/offset; else the newest.")] = "",
    json: Json = False,
) -> int:
    """Show what a flow decided: each result with its event, position, model, and whether a fallback answered. --json: a line each.

    Examples:

      weft results departure-delays

      weft results departure-delays --follow

      weft results departure-delays --from start --limit 1000 --json
    """
    asyncio.run(_show(flow, begin, limit, follow, json))
    return Exit.DONE


async def _show(flow: str, begin: str, limit: int | None, follow: bool, json: bool) -> None:
    from ops.daily.desk import desk
    from ops.daily.results import as_json, read

    async with desk(load(), flow) as open_:
        async for row in read(open_, begin, limit, follow):
            told = as_json(open_, row)
            if json:
                sys.stdout.write(json_text(told))
                sys.stdout.flush()
            else:
                _print(told)


def _print(told: Mapping[str, Any]) -> None:
    value = told["value"]
    if value is None:
        console().print(Text.assemble((told["at"], "dim"), "  ", (f"unreadable: {told['unreadable']}", "red")))
        return
    rest = ", ".join(f"{name}={_short(item)}" for name, item in value.items() if name not in _TOLD and item is not None)
    model = f"  {told['model']}" if told["model"] else ""
    degraded = ("  degraded", "yellow") if told["degraded"] else ""
    console().print(Text.assemble((told["position"], "dim"), "  ", (_short(told["event"]), "bold"), f"  {rest}", (model, "cyan"), degraded))


def _short(item: object) -> str:
    return f"{item:.3f}" if isinstance(item, float) else visible(worded(item), one_line=True)
