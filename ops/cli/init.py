"""`weft init`: make a project folder of one's own."""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, bars, say, table
from schemas.errors import UsageError
from schemas.vocabulary import Exit


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The project's name, and its flow's; the folder NAME is made here.")],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own events: UTF-8, a header, a row each.")] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN[=VALUE]", help="The column that knows the answer; it is in no event. VALUE counts as yes.")
    ] = None,
    rename: Annotated[bool, typer.Option("--rename", help="Give columns whose names can't be kept the nearest name that can.")] = False,
    form: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=FORM", help="How a column is written: dd/mm/yyyy, 1.234,5, text, ...; else it is seen."),
    ] = None,
    accept_weak_model: Annotated[bool, typer.Option("--accept-weak-model", help="Go on though the columns hardly tell.")] = False,
    json: Json = False,
) -> int:
    """Make a project that works at once: flow, contracts, rules, policy, suite, a trained model, plugins, samples and their test.

    With --csv types, nulls, id, time and categories are taken from your rows, and the model is trained on them; else on some flights.

    Dates may be 2024-01-31, 31.01.2024, 31/01/2024, 01/31/2024 (also with -), 2024/01/31, numbers 1234.5, 1.234,5, 1,234.5: each column
    in one form.

    Examples:

      weft init my-flow

      weft init churn --csv customers.csv --target churned=yes

      weft init claims --csv claims.csv --target fraud --form reported=dd/mm/yyyy
    """
    from ops.project.make import Asked, make

    _check(name, csv, target, bool(rename or form))
    asked = Asked(name, Path.cwd(), csv, rename=rename, accept_weak=accept_weak_model, forms=_forms(form or []))
    if target is not None:
        column, says, value = target.partition("=")
        asked = replace(asked, target=column, positive=value if says else None)
    with bars() as progress:
        made = make(asked, lambda what: progress(what, 0, 1))
    as_json(made.as_json()) if json else _say(made, csv)
    return Exit.DONE


def _check(name: str, csv: Path | None, target: str | None, more: bool) -> None:
    from processors.flow.spec import FLOW_NAME

    if not re.match(FLOW_NAME, name):
        raise UsageError(f"`{name}` can't be a flow's name", "Small letters, digits and hyphens, a letter first: e.g. my-flow.")
    if csv is None and (target or more):
        raise UsageError("--target, --rename and --form say something about a CSV file", "Name it with --csv FILE.")
    if csv is not None and target is None:
        raise UsageError("--csv needs --target: the column that knows the answer", "e.g. --csv customers.csv --target churned")


def _forms(pairs: list[str]) -> dict[str, str]:
    """`COLUMN=FORM`, each."""
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"--form {pair} names no form", "Write it like --form reported=dd/mm/yyyy")
    return {column: form for column, _, form in (pair.rpartition("=") for pair in pairs)}


def _say(made: Any, csv: Path | None) -> None:
    told = made.as_json()
    name, model, target = told["project"], told["model"], told["target"]
    table(("column", "was", "type", "null", "is"), [_row(one) for one in told["columns"]])
    for one in told["columns"]:
        if one["doubt"]:
            settled = f" To settle it make the project anew with --form {one['header']}={one['say']}" if one["say"] else ""
            say(f"`{one['header']}` is taken as text: {one['doubt']}.{settled}", "yellow")
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
        f"weft produce {name} --from {shlex.quote(str(where))}",
    ):
        say(f"  {line}")
    say(f"  weft results {name}\n\nREADME.md in it goes on from there.")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    was = one["header"] if one["header"] != one["column"] else ""
    return one["column"], was, f"{one['type']} {one['form']}".strip(), "yes" if one["null"] else "", _use(one)


def _use(one: dict[str, Any]) -> str:
    match one["is"]:
        case "left out":
            return f"not learnt from: {one['why']}"
        case "number" | "category":
            return f"{one['is']}, learnt from"
        case other:
            return f"the event's {other}"
