"""`weft schema`: list, show and check the contracts of events and results; keep their versions, and register them."""

from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, listing, say, table
from ops.schema.judge import Judged, Mode, judge
from ops.schema.versions import Git, Kept, Subjects, Versions, carries_fingerprint, file_of, subjects_of, under_git
from processors.flow.project import FolderProject
from schemas.codecs.layout import Layout
from schemas.contracts import Contract
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.registry import project_of, required
from streams.settings import load

app = typer.Typer(no_args_is_help=True, help="List, show and check the contracts of events; keep and register their versions.")

Name = Annotated[str, typer.Argument(metavar="SCHEMA", help="The contract's full name, e.g. flights.Departure.")]
Subject = Annotated[str, typer.Option(help="The subject in the registry; else <topic>-value of each flow's topic that carries it.")]
KEPT, REGISTRY, HEAD = "kept", "registry", "HEAD"


@app.command("list")
def list_(json: Json = False) -> None:
    """List all contracts of the project and those that Weft ships, with the versions that are kept.

    Example:

      weft schema list --json
    """
    project = _project()
    kept, rows = Kept(project), []
    for name, contract in sorted(project.contracts().items()):
        versions = ", ".join(f"@{number}" for number in kept.numbers(name))
        rows.append(
            {
                "schema": name,
                "fields": len(contract.schema.get("fields", ())),
                "fingerprint": contract.fingerprint.hex(),
                "kept": versions,
                "file": str(file_of(project, name)),
            }
        )
    listing(rows, json, "There is no contract. Write schemas/<full name>.avsc in a project folder.")


@app.command()
def show(schema: Name, json: Json = False) -> None:
    """Show a contract: its fields, what they become as columns, and its fingerprint; with --json the schema itself.

    Example:

      weft schema show flights.Departure
    """
    contract = _contract(_project(), schema)
    if json:
        as_json({"schema": schema, "fingerprint": contract.fingerprint.hex(), "avro": contract.schema})
        return
    say(f"{schema}  fingerprint {contract.fingerprint.hex()}", "bold")
    if contract.schema.get("doc"):
        say(contract.schema["doc"])
    columns = _columns(contract)
    rows = [
        (entry["name"], columns.get(entry["name"], ""), _default(entry), entry.get("doc", ""))
        for entry in contract.schema.get("fields", ())
    ]
    table(("field", "column", "default", "is"), rows)


@app.command()
def check(
    schemas: Annotated[list[str] | None, typer.Argument(metavar="[SCHEMA]...", help="Contracts by name; else the project's own.")] = None,
    against: Annotated[
        str, typer.Option(help="`kept` (schemas/<name>@<n>.avsc), `registry`, or a git ref; else HEAD where git is, `kept` where not.")
    ] = "",
    mode: Annotated[Mode, typer.Option(help="backward: the new reads the old. forward: the old reads the new. full: both.")] = "backward",
    transitive: Annotated[bool, typer.Option("--transitive", help="Every older version, not only the newest.")] = False,
    subject: Subject = "",
    json: Json = False,
) -> int:
    """Refuse a change of contracts that breaks readers, with a sentence for each break: what breaks, for whom, and what to do.

    Examples:

      weft schema check

      weft schema check flights.Departure --against main --mode full --transitive

      weft schema check --against registry --json
    """
    project = _project()
    against = against or (HEAD if under_git(project) else KEPT)
    older = _older(project, against, subject)
    contracts = project.contracts()
    names = schemas or _own(project)
    for name in names:
        _contract(project, name)
    found = [judge(name, contracts, older, mode, transitive, carries_fingerprint(project, name)) for name in names]
    if json:
        as_json([one.as_json() for one in found])
    else:
        for one in found:
            _say(one, against)
    return Exit.FAILED if any(one.faults for one in found) else Exit.DONE


@app.command()
def keep(
    schema: Name,
    from_: Annotated[str, typer.Option("--from", metavar="REF", help="Keep it as it was in this git ref; else as it is.")] = "",
) -> int:
    """Keep a version of a contract as schemas/<name>@<n>.avsc, so that what was written with it is read for ever.

    Examples:

      weft schema keep flights.Departure

      weft schema keep flights.Departure --from HEAD
    """
    project = _project()
    contract = _contract(project, schema)
    if from_:
        found = Git(project, from_).of(schema, every=False)
        if not found:
            raise UsageError(f"git has no {schema}.avsc in {from_}")
        contract = found[0].contract
    kept = Kept(project)
    for version in kept.of(schema, every=True):
        if version.contract.schema == contract.schema:
            say(f"It is kept already, as {version.label}.")
            return Exit.DONE
    folder = project.folders("schemas")[0]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{schema}@{max(kept.numbers(schema), default=0) + 1}.avsc"
    file.write_text(contract.text + "\n", "utf-8")
    say(f"{file} is kept. Workers read it when they start.", "green")
    return Exit.DONE


@app.command()
def register(schema: Name, subject: Subject = "", json: Json = False) -> int:
    """Put a contract into the schema registry under its subjects, if the registry's own rules allow it.

    Example:

      weft schema register flights.DelayDecision --subject flights.delay-decisions-value
    """
    project = _project()
    contract, registry = _contract(project, schema), required(load())
    rows = []
    for one in [subject] if subject else subjects_of(project, schema):
        taken, why = registry.compatible(one, contract)
        if not taken:
            said = "; ".join(why) or "it does not say why"
            raise UsageError(
                f"the registry refuses {schema} under {one} ({registry.level(one)}): {said}",
                f"`weft schema check {schema} --against registry --subject {one}` says what to do.",
            )
        rows.append({"schema": schema, "subject": one, "id": registry.register(one, contract)})
    listing(rows, json, "")
    return Exit.DONE


def _project() -> FolderProject:
    return project_of(load())


def _contract(project: FolderProject, name: str) -> Contract:
    found = project.contracts().get(name)
    if found is None:
        raise UsageError(f"there is no contract {name}", "`weft schema list` shows those that there are.")
    return found


def _own(project: FolderProject) -> list[str]:
    """The contracts of the project's own folder; those that Weft ships, where it has none."""
    names = sorted(project.contracts())
    folder = project.folders("schemas")[0]
    return [name for name in names if (folder / f"{name}.avsc").is_file()] or names


def _older(project: FolderProject, against: str, subject: str) -> Versions:
    if against == KEPT:
        return Kept(project)
    return Subjects(project, required(load()), subject) if against == REGISTRY else Git(project, against)


def _columns(contract: Contract) -> dict[str, str]:
    """The Arrow type of each field; what has none is said."""
    try:
        return {field.name: f"{field.type}{' or null' if field.nullable else ''}" for field in Layout.of(contract.schema).arrow}
    except ValueError as error:
        say(f"It can't be read as columns: {error}", "yellow")
        return {}


def _default(entry: dict[str, Any]) -> str:
    if "default" not in entry:
        return ""
    return "null" if entry["default"] is None else str(entry["default"])


def _say(one: Judged, against: str) -> None:
    if not one.against:
        say(f"{one.name}: there is nothing to compare it with ({against}).", "dim")
    elif not one.faults:
        say(f"{one.name}: {'breaks nothing' if one.changed else 'has not changed'} (against {', '.join(one.against)}).", "green")
    else:
        count = len(one.faults)
        say(f"{one.name}: {count} break{'s' if count > 1 else ''}", "bold red")
        for fault in one.faults:
            say(f"  {fault.sentence}.", "red")
            say(f"    what to do: {fault.do}.")
    for note in one.notes:
        say(f"note: {note}", "yellow")
