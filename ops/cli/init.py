"""`weft init`: make a project folder of one's own."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, bars, say, table
from schemas.errors import UsageError
from schemas.vocabulary import Exit


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The project's name, and its flow's; the folder NAME is made here.")],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own events: UTF-8, a header, a row each.")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that knows the answer; it is in no event.")] = None,
    positive: Annotated[str | None, typer.Option(metavar="VALUE", help="Which value of the target counts as yes.")] = None,
    rename: Annotated[bool, typer.Option("--rename", help="Give columns whose names can't be kept the nearest name that can.")] = False,
    accept_weak_model: Annotated[bool, typer.Option("--accept-weak-model", help="Go on though the columns hardly tell.")] = False,
    json: Json = False,
) -> int:
    """Make a project that works at once: flow, contracts, rules, policy, suite, a trained model, plugins, samples and their test.

    With --csv types, nulls, id, time and categories are taken from your rows, and the model is trained on them; else on some flights.

    Examples:

      weft init my-flow

      weft init churn --csv customers.csv --target churned --positive yes
    """
    from ops.project.make import Asked, make
    from processors.flow.spec import FLOW_NAME

    if not re.match(FLOW_NAME, name):
        raise UsageError(f"`{name}` can't be a flow's name", "Small letters, digits and hyphens, a letter first: e.g. my-flow.")
    if csv is None and (target or positive or rename):
        raise UsageError("--target, --positive and --rename say something about a CSV file", "Name it with --csv FILE.")
    if csv is not None and target is None:
        raise UsageError("--csv needs --target: the column that knows the answer", "e.g. --csv customers.csv --target churned")
    told = {} if target is None else {"target": target}
    asked = Asked(name, Path.cwd(), csv, positive=positive, rename=rename, accept_weak=accept_weak_model, **told)
    with bars() as progress:
        made = make(asked, lambda what: progress(what, 0, 1))
    if json:
        as_json(made.as_json())
    else:
        _say(made, asked.csv)
    return Exit.DONE


def _say(made: Any, csv: Path | None) -> None:
    told = made.as_json()
    name, model, target = told["project"], told["model"], told["target"]
    rows = [
        (one["column"], one["header"] if one["header"] != one["column"] else "", one["type"], "yes" if one["null"] else "", _use(one))
        for one in told["columns"]
    ]
    table(("column", "was", "type", "null", "is"), rows)
    if twice := made.design.repeated:
        say(f"{twice} No column is: an event is called by its position.", "yellow")
    if target["rows_without"]:
        say(f"{target['rows_without']:,} rows have no `{target['column']}` and were left out.", "yellow")
    say(
        f"\nThe model tells `{target['column']}` = `{target['positive']}`: AUC {model['auc']:.3f} on {model['held_out']:,} of "
        f"{model['rows']:,} rows, which it has not seen; yes from a score of {model['threshold']:g} on."
    )
    for column in model["suspects"]:
        say(f"`{column}` alone tells the answer. Is it known when the event comes? If not, leave the column out.", "yellow")
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in told["samples"].items())
    say(f"{name}/ is made; its samples: {verdicts}. Next:\n", "green")
    where = Path("..", csv) if csv else f"data/{name}.csv"  # an absolute path stays one
    for line in (
        f"cd {name}",
        f"weft flow test {name}",
        "weft up",
        f"weft flow apply {name}",
        f"weft run {name} --detach",
        f"weft produce {name} --from {where}",
    ):
        say(f"  {line}")
    say(f"  weft results {name}\n\nREADME.md in it goes on from there.")


def _use(one: dict[str, Any]) -> str:
    match one["is"]:
        case "left out":
            return f"not learnt from: {one['why']}"
        case "number" | "category":
            return f"{one['is']}, learnt from"
        case other:
            return f"the event's {other}"
