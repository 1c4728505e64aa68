"""`weft doctor`: what is missing, and what to do."""

from typing import Annotated

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, console, say
from ops.doctor import ALL_CHECKS, CHECKS, Finding, examine
from schemas.vocabulary import Exit
from streams.settings import load


def doctor(every: Annotated[bool, typer.Option("--all", help="Also the flows that are built in.")] = False, json: Json = False) -> Exit:
    """Look at everything that a flow needs to run, and say for each thing that is missing what to do.

    Of flows, those of the project; those that are built in where it has none. Exit code 1 where something is missing.

    Examples:

      weft doctor

      weft doctor --json
    """
    findings = []
    for finding in examine(load(), ALL_CHECKS if every else CHECKS):
        findings.append(finding)
        if not json:
            _show(finding)
    if json:
        as_json([finding.as_json() for finding in findings])
    missing = sum(not finding.ok for finding in findings)
    if not json:
        say(f"{missing} of {len(findings)} need something" if missing else "all is well")
    return Exit.FAILED if missing else Exit.DONE


def _show(finding: Finding) -> None:
    mark = Text("ok  ", style="green") if finding.ok else Text("no  ", style="bold red")
    console().print(Text.assemble(mark, (f"{finding.name}: ", "bold"), finding.sentence))
    if not finding.ok and finding.hint:
        console().print(Text(f"    {finding.hint}"))
