"""`weft config`: what every setting is and where it comes from, and whether all is well with them."""

from typing import Annotated

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, console, say, table
from schemas.vocabulary import Exit
from streams.settings import load

app = typer.Typer(no_args_is_help=True, help="Show and check the settings.")


@app.command()
def show(
    context: typer.Context,
    said: Annotated[bool, typer.Option("--said", help="Only what somebody said: no defaults.")] = False,
    json: Json = False,
) -> None:
    """Show every setting with its value and where that comes from. Secrets are hidden.

    An option of the command line comes before the environment, that before weft.toml in the project folder, that before the default.

    Examples:

      weft config show

      weft config show --said

      weft config show --json
    """
    from ops.stack.told import rows, told

    given = context.find_root().params
    options = {name: f"--{name}" for name in ("project", "data") if given.get(name) is not None}
    every = [one for one in told(load(), options) if not said or one.origin.kind in ("argument", "environment", "weft.toml")]
    if json:
        as_json([one.as_json() for one in every])
    elif every:
        table(("setting", "value", "from"), rows(every))
    else:
        say("Nothing is said: all settings have their defaults.")


@app.command()
def check(
    reach: Annotated[bool, typer.Option("--reach", help="Also try whether Kafka, Redis and the model server let us in.")] = False,
    json: Json = False,
) -> Exit:
    """Check the settings: unknown words, files that are missing, secrets that others can read; with --reach the services too.

    Exit code 2 where a setting is wrong, 1 where something else is not well.

    Examples:

      weft config check

      weft config check --reach --json
    """
    from ops.stack.told import examine

    findings = list(examine(load(), reach))
    if json:
        as_json([finding.as_json() for finding in findings])
        return Exit.DONE if all(finding.ok for finding in findings) else Exit.FAILED
    for finding in findings:
        mark = Text("ok  ", style="green") if finding.ok else Text("no  ", style="bold red")
        console().print(Text.assemble(mark, (f"{finding.name}: ", "bold"), finding.sentence))
        if not finding.ok and finding.hint:
            console().print(Text(f"    {finding.hint}"))
    return Exit.DONE if all(finding.ok for finding in findings) else Exit.FAILED
