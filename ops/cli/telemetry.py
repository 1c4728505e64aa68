"""`weft telemetry`: what looks at the metrics of workers, generated from their vocabulary."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.output import Json, as_json, listing, say
from schemas.vocabulary import Exit
from streams.settings import load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Dashboard, alert rules and metrics for Prometheus and Grafana.")

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write it to this file; else to standard output.")]


@app.command(epilog="Examples:\n\n  weft telemetry dashboard -o weft-flows.json")
def dashboard(out: Out = None) -> int:
    """The Grafana dashboard, as JSON: import it, or lay it into Grafana's provisioning folder."""
    from ops.dashboards.files import dashboard_text

    return _told(dashboard_text(), out)


@app.command(
    epilog="Examples:\n\n  weft telemetry alerts -o weft-alerts.yaml\n\n  weft telemetry alerts --runbooks https://wiki.example.org/weft"
)
def alerts(
    out: Out = None,
    runbooks: Annotated[str | None, typer.Option(help="Where the runbooks are found; else docs/runbooks of the repository.")] = None,
) -> int:
    """The alert rules, as YAML: name the file under rule_files in Prometheus' settings."""
    from ops.dashboards.alerts import RUNBOOKS
    from ops.dashboards.files import alerts_text

    return _told(alerts_text(runbooks or RUNBOOKS), out)


@app.command(epilog="Examples:\n\n  weft telemetry metrics\n\n  weft telemetry metrics --json")
def metrics(json: Json = False) -> int:
    """Every metric that a worker has: its name, kind, labels, and what it says."""
    from schemas.metrics import Metric

    rows = [
        {"metric": one.spec.name, "kind": one.spec.kind.value, "labels": ", ".join(one.spec.labels), "says": one.spec.help}
        for one in Metric
    ]
    listing(rows, json, "There are no metrics.")
    return Exit.DONE


@app.command(epilog="Examples:\n\n  weft telemetry targets > weft-workers.json")
def targets() -> int:
    """Where the workers of this data folder answer, as Prometheus reads it (file_sd_configs). Their ports stay over restarts."""
    from ops.top.workers import slots

    found = [(slot, port) for slot in slots(load().data_folder) if (port := slot.kept_port()) is not None]
    as_json([{"targets": [f"127.0.0.1:{port}"], "labels": {"job": "weft", "worker": slot.name}} for slot, port in found])
    return Exit.DONE


def _told(text: str, out: Path | None) -> int:
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8")
        say(f"{out} is written.")
    return Exit.DONE
