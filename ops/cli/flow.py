"""`weft flow`: check, list, show, test and apply flows."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli import asyncapi, control, flow_versions, gap
from ops.cli.output import Json, as_json, console, listing, say, table
from ops.flow.excerpt import lines_of, shown
from processors.flow.check import Checked, check
from processors.flow.project import FolderProject
from processors.flow.published import flow_schema, schemas, text
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.registry import project_of
from streams.settings import load

app = typer.Typer(no_args_is_help=True, help="Check, list, show, test and apply flows.")

Name = Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")]


app.command("pause")(control.pause)
app.command("resume")(control.resume)
app.command("accept-gap")(gap.accept_gap)
app.command("asyncapi")(asyncapi.asyncapi)
app.command("versions")(flow_versions.versions)
app.command("diff")(flow_versions.diff)
app.command("rollback")(flow_versions.rollback)


@app.command("check")
def check_(
    flows: Annotated[list[str] | None, typer.Argument(metavar="[FLOW]...", help="Flows by name; else all of the project.")] = None,
    json: Json = False,
) -> int:
    """Check flows and every file that they name, and say all mistakes at once.

    Examples:

      weft flow check departure-delays

      weft flow check --json
    """
    project = _project()
    found = {name: check(project, name) for name in _names(project, flows)}
    if json:
        as_json([_checked_json(name, checked) for name, checked in found.items()])
    else:
        for name, checked in found.items():
            _say_checked(name, checked, project)
    return Exit.USAGE if any(checked.mistakes for checked in found.values()) else Exit.DONE


@app.command("list")
def list_(every: Annotated[bool, typer.Option("--all", help="Also those that are built in.")] = False, json: Json = False) -> None:
    """List the flows of the project; where it has none, those that are built in.

    Examples:

      weft flow list --json

      weft flow list --all
    """
    project = _project()
    rows = []
    for name in project.flows(every):
        checked = check(project, name)
        spec = checked.spec
        rows.append(
            {
                "flow": name,
                "version": spec.version if spec else "",
                "input": spec.input.topic if spec else "",
                "result": spec.result.topic if spec else "",
                "steps": len(checked.placed),
                "mistakes": len(checked.mistakes),
                "file": checked.page.file,
            }
        )
    listing(rows, json, "There is no flow. Write flows/<name>.yaml in a project folder.")


@app.command()
def show(flow: Name, json: Json = False) -> None:
    """Show a flow's steps with the columns that they need and give, its topics and its limits.

    Example:

      weft flow show departure-delays
    """
    from ops.flow.described import described, draw

    checked = check(_project(), flow)
    checked.sound()
    told = described(checked)
    if json:
        as_json(told)
    else:
        draw(told, console())


@app.command()
def schema(
    into: Annotated[Path | None, typer.Option("--into", help="Write every published schema into this folder.")] = None,
) -> None:
    """Print the JSON Schema of flow files, for editors, with the project's own steps; or write all schemas into a folder.

    Examples:

      weft flow schema > flow.schema.json

      weft flow schema --into docs/schemas
    """
    if into is None:
        typer.echo(text(flow_schema(_project())), nl=False)
        return
    into.mkdir(parents=True, exist_ok=True)
    for name, made in schemas(_project()).items():
        (into / name).write_text(text(made), "utf-8")
        say(f"{into / name}")


@app.command("test")
def try_(
    flow: Name,
    events: Annotated[Path | None, typer.Option(help="JSON lines, .csv or an Avro file; else the flow's own samples.")] = None,
    lookup: Annotated[Path | None, typer.Option(help="A JSON file, key -> object, that answers `enrich`.")] = None,
    score: Annotated[float | None, typer.Option(help="Every model answers with this number; else the trained models answer.")] = None,
    expect: Annotated[Path | None, typer.Option(help="What should come out: lines as --json prints them.")] = None,
    json: Json = False,
) -> int:
    """Run a flow on sample events in this process: no Kafka, no Redis, no model server. Prints each verdict.

    Examples:

      weft flow test departure-delays

      weft flow test departure-delays --events mine.ndjson --lookup planes.json --score 0.9

      weft flow test departure-delays --json > expected.ndjson
    """
    from ops.flow.trial import Trial, report, run_trial

    trial = Trial(_project(), flow, events, lookup, score, expect)
    judged, wrong = asyncio.run(run_trial(trial))
    report(judged, wrong, json)
    if expect and not wrong and not json:
        say(f"All of them end as {expect} says.", "green")
    return Exit.FAILED if wrong else Exit.DONE


@app.command()
def apply(
    flow: Name,
    partitions: Annotated[int, typer.Option(min=1, max=1000, help="Of the input topic, if it is not there yet.")] = 4,
    accept_new_trees: Annotated[bool, typer.Option("--accept-new-trees", help="Follow an input topic that got more partitions.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    json: Json = False,
) -> int:
    """Make a flow's topics and store this version of it, so that workers run it. Shows its plan first; done twice it changes nothing.

    Examples:

      weft flow apply departure-delays --dry-run

      weft flow apply departure-delays --yes
    """
    from ops.flow.applying import Applying, plan_only, run_apply

    asked = Applying(load(), _project(), flow, partitions, accept_new_trees)
    if json and not (yes or dry_run):
        raise UsageError("with --json nobody can be asked", "Add --yes, or --dry-run to see the plan.")
    plan = asyncio.run(plan_only(asked))
    if json:
        as_json(
            {"flow": flow, "version": plan.bundle.version, "digest": plan.bundle.digest, "changes": [c.as_json() for c in plan.changes]}
        )
    else:
        _say_plan(plan)
    if dry_run or not plan.changes:
        return Exit.DONE
    if not yes and not typer.confirm("Do this?"):
        say("Nothing was changed.")
        return Exit.FAILED
    asyncio.run(run_apply(asked, plan))
    if not json:
        say(f"{plan.bundle.flow}@{plan.bundle.version} is applied.", "green")
    return Exit.DONE


def _project() -> FolderProject:
    return project_of(load())


def _names(project: FolderProject, asked: list[str] | None) -> list[str]:
    if not asked:
        return list(project.flows())
    return [Path(name).stem if name.endswith((".yaml", ".yml")) else name for name in asked]


def _checked_json(name: str, checked: Checked) -> dict[str, Any]:
    keys = ("file", "line", "column", "sentence", "hint")
    mistakes = [{key: getattr(mistake, key) for key in keys} for mistake in checked.mistakes]
    return {"flow": name, "file": checked.page.file, "version": checked.spec.version if checked.spec else None, "mistakes": mistakes}


def _say_checked(name: str, checked: Checked, project: FolderProject) -> None:
    if not checked.mistakes:
        spec = checked.sound()
        say(f"{name}@{spec.version} has no mistakes: {len(checked.placed)} steps, {spec.input.topic} -> {spec.result.topic}", "green")
        return
    out = console()
    for mistake in checked.mistakes:
        out.print(shown(mistake, lines_of(mistake.file, project)))
    count = len(checked.mistakes)
    say(f"{name} has {count} mistake{'s' if count > 1 else ''}.", "red")


def _say_plan(plan: Any) -> None:
    if not plan.changes:
        say(f"{plan.bundle.flow}@{plan.bundle.version} is applied already; nothing is to be done.", "green")
        return
    rows = []
    for change in plan.changes:
        configs = ", ".join(
            f"{key}={value}" + (f" (was {change.was[key]})" if key in change.was else "") for key, value in change.configs.items()
        )
        was = configs or ", ".join(f"was {key} {value}" for key, value in change.was.items())
        rows.append((Text(change.kind, style="bold"), change.name, str(change.partitions or ""), was))
    table(("do", "what", "partitions", "settings"), rows)
    for change in plan.changes:
        if change.why:
            say(f"{change.name}: {change.why}")
