"""`weft models`: train the example's models, list what is there, show cards and figures."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from processors.flow.project import BUILT_IN, FolderProject
from schemas.errors import UsageError, WeftError
from schemas.manifest import Manifest
from serving.catalog import TRAIN, Catalog

app = typer.Typer(no_args_is_help=True, help="Train, list and explain the models that flows ask.")

Project = Annotated[Path | None, typer.Option("--project", help="Folder with models/; else the working directory, else what is built in.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The model's name.")]


@app.command(epilog="Example: weft models train arrival-delay")
def train(
    name: Annotated[str | None, typer.Argument(help="Only this model.")] = None, project: Project = None, as_json: AsJson = False
) -> None:
    """Train on January and February 2013, measure every month, write model, manifest and card; the same bytes every time."""
    from serving.training import learners
    from serving.training import train as training

    if name is not None and name not in learners.LEARNERS:
        raise UsageError(f"there is nothing to train as `{name}`", f"valid: {', '.join(learners.LEARNERS)}")
    chosen = [learner for learner in learners.LEARNERS.values() if name in (None, learner.name)]
    into = BUILT_IN["models"] if project is None else project / "models"
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("starting")
        made = training.train(chosen, into, lambda what: bar.update(task, description=what))
    if as_json:
        _print_json([_row(manifest, "") for manifest in made])
        return
    console = Console()
    for manifest in made:
        console.print(f"{manifest.ident}: {manifest.approval.why}. {into / manifest.name}", soft_wrap=True)


@app.command("list", epilog="Example: weft models list --json")
def list_(project: Project = None, as_json: AsJson = False) -> None:
    """Every model with its version, approval, and whether its file is the one that was approved."""
    catalog = _catalog(project)
    rows = [_row(catalog.manifest(name), _problem(catalog, name)) for name in catalog.names()]
    if as_json:
        _print_json(rows)
        return
    if not rows:
        raise UsageError("there is no model yet", TRAIN)
    table = Table("model", "version", "served", "inputs", "AUC in March", "why not")
    for row in rows:
        auc = next((f"{month['auc']:.3f}" for month in row["metrics"] if month["month"] == 3), "")
        table.add_row(row["name"], row["version"], "yes" if row["served"] else "no", str(len(row["inputs"])), auc, row["problem"])
    Console().print(table)


@app.command(epilog="Example: weft models show arrival-delay")
def show(name: Name, project: Project = None, as_json: AsJson = False) -> None:
    """The model's card; with --json its manifest."""
    catalog = _catalog(project)
    manifest = catalog.manifest(name)
    if as_json:
        _print_json(_row(manifest, _problem(catalog, name)))
        return
    Console().print(Markdown(catalog.card(name)))


@app.command(epilog="Example: weft models metrics arrival-delay")
def metrics(name: Name, project: Project = None, as_json: AsJson = False) -> None:
    """AUC, Brier score and calibration by month."""
    manifest = _catalog(project).manifest(name)
    if as_json:
        _print_json([month.model_dump() for month in manifest.metrics])
        return
    table = Table("month", "flights", "late", "mean score", "AUC", "Brier", "calibration error", title=manifest.ident)
    trained = manifest.training.months if manifest.training else ()
    for one in manifest.metrics:
        mark = " (trained on)" if one.month in trained else ""
        figures = (f"{one.late:.3f}", f"{one.predicted:.3f}", f"{one.auc:.3f}", f"{one.brier:.4f}", f"{one.calibration:.4f}")
        table.add_row(f"{one.month}{mark}", f"{one.rows:,}", *figures)
    Console().print(table)


def _catalog(project: Path | None) -> Catalog:
    return Catalog(FolderProject(project if project is not None else Path.cwd()))


def _problem(catalog: Catalog, name: str) -> str:
    """Why the model is not served; empty where it is."""
    try:
        catalog.content(catalog.manifest(name))
    except WeftError as error:
        return error.sentence
    return ""


def _row(manifest: Manifest, problem: str) -> dict[str, Any]:
    return {**manifest.model_dump(mode="json"), "served": not problem, "problem": problem}


def _print_json(value: Any) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
