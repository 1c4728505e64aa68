"""`weft doctor`: what is missing, and what to do."""

from rich.text import Text

from ops.cli.output import Json, as_json, console, say
from ops.doctor import Finding, examine
from schemas.vocabulary import Exit
from streams.settings import load


def doctor(json: Json = False) -> Exit:
    """Look at everything that a flow needs to run, and say for each thing that is missing what to do.

    Exit code 1 where something is missing.

    Examples:

      weft doctor

      weft doctor --json
    """
    findings = []
    for finding in examine(load()):
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
