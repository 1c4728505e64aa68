"""`weft models`: train the examples' models, list what is there, show cards and figures."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown

from ops.cli.output import Json, as_json, bars, console, listing, say, table
from processors.flow.project import BUILT_IN, FolderProject
from schemas.errors import UsageError, WeftError
from schemas.manifest import Manifest
from serving.catalog import TRAIN, Catalog
from streams.settings import load

MARCH = 3  # the first month that the models of flights have not seen; of others the first group is

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Train, list and explain the models that flows ask.")

Project = Annotated[Path | None, typer.Option("--project", help="The folder with models/; what is built in comes second.")]
Name = Annotated[str, typer.Argument(help="The model's name.")]


@app.command(epilog="Examples:\n\n  weft models train\n\n  weft models train arrival-delay --project ../my-flows")
def train(name: Annotated[str | None, typer.Argument(help="Only this model.")] = None, project: Project = None, json: Json = False) -> None:
    """Train the examples' models, measure them on what they have not seen, write model, manifest and card. The same bytes every time."""
    from serving.training import learners
    from serving.training import train as training

    if name is not None and name not in learners.LEARNERS:
        raise UsageError(f"There is nothing to train as `{name}`.", f"Valid: {', '.join(learners.LEARNERS)}.")
    chosen = [learner for learner in learners.LEARNERS.values() if name in (None, learner.name)]
    into = _into(project)
    with bars() as progress:
        made = training.train(chosen, into, lambda what: progress(what, 0, 1))
    if json:
        as_json([_plain(manifest, "") for manifest in made])
        return
    for manifest in made:
        say(f"{manifest.ident}: {manifest.approval.why}; {into / manifest.name}")


@app.command("list", epilog="Examples:\n\n  weft models list\n\n  weft models list --json")
def list_(project: Project = None, json: Json = False) -> None:
    """Every model with its version, and whether it is approved and its file is the one that was."""
    catalog = _catalog(project)
    rows = [(catalog.manifest(name), _problem(catalog, name)) for name in catalog.names()]
    if json:
        as_json([_plain(*row) for row in rows])
        return
    listing([_line(*row) for row in rows], False, f"There is no model yet. {TRAIN}")


@app.command(epilog="Examples:\n\n  weft models show arrival-delay\n\n  weft models show arrival-delay --json")
def show(name: Name, project: Project = None, json: Json = False) -> None:
    """The model's card; with --json its manifest."""
    catalog = _catalog(project)
    manifest = catalog.manifest(name)
    if json:
        as_json(_plain(manifest, _problem(catalog, name)))
        return
    console().print(Markdown(catalog.card(name)))


@app.command(epilog="Examples:\n\n  weft models metrics arrival-delay\n\n  weft models metrics arrival-delay-lite --json")
def metrics(name: Name, project: Project = None, json: Json = False) -> None:
    """AUC, Brier score and calibration by month, or by group of people."""
    manifest = _catalog(project).manifest(name)
    if json:
        as_json([row.model_dump() for row in (*manifest.metrics, *manifest.groups)])
    elif manifest.groups:
        _by_group(manifest)
    else:
        _by_month(manifest)


def _by_group(manifest: Manifest) -> None:
    rows = []
    for one in manifest.groups:
        figures = (f"{one.positive:.3f}", f"{one.predicted:.3f}", f"{one.auc:.3f}", f"{one.brier:.4f}", f"{one.calibration:.4f}")
        at_threshold = (f"{one.below:.3f}", f"{one.specificity:.3f}", f"{one.sensitivity:.3f}")
        rows.append((one.group, f"{one.rows:,}", *figures, *at_threshold))
    below = f"below {manifest.groups[0].threshold:g}"
    table(("group", "rows", "positive", "mean score", "AUC", "Brier", "calibration error", below, "specificity", "sensitivity"), rows)


def _by_month(manifest: Manifest) -> None:
    trained = manifest.training.months if manifest.training else ()
    rows = []
    for one in manifest.metrics:
        mark = "trained on" if one.month in trained else ""
        figures = (f"{one.late:.3f}", f"{one.predicted:.3f}", f"{one.auc:.3f}", f"{one.brier:.4f}", f"{one.calibration:.4f}")
        rows.append((one.month, f"{one.rows:,}", *figures, mark))
    table(("month", "flights", "late", "mean score", "AUC", "Brier", "calibration error", ""), rows)


def _into(project: Path | None) -> Path:
    """The project that was named, by an option or a setting; else what is built in."""
    settings = load(project)
    return BUILT_IN["models"] if settings.project == Path() else settings.project_folder / "models"


def _catalog(project: Path | None) -> Catalog:
    return Catalog(FolderProject(load(project).project_folder))


def _problem(catalog: Catalog, name: str) -> str:
    """Why the model is not served; empty where it is."""
    try:
        catalog.content(catalog.manifest(name))
    except WeftError as error:
        return error.sentence
    return ""


def _plain(manifest: Manifest, problem: str) -> dict[str, Any]:
    return {**manifest.model_dump(mode="json"), "served": not problem, "problem": problem}


def _line(manifest: Manifest, problem: str) -> dict[str, object]:
    unseen = [month.auc for month in manifest.metrics if month.month == MARCH] or [group.auc for group in manifest.groups[:1]]
    said = {"model": manifest.name, "version": manifest.version, "served": "no" if problem else "yes"}
    return {**said, "inputs": len(manifest.inputs), "AUC, unseen": f"{unseen[0]:.3f}" if unseen else "", "why not": problem}
