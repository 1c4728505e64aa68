"""The generated files, as they lie beside this one; `python -m ops.dashboards.files` writes them anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from ops.dashboards.alerts import RUNBOOKS, rules
from ops.dashboards.grafana import dashboard

FOLDER: Final = Path(__file__).parent
DASHBOARD, ALERTS = "weft-flows.json", "weft-alerts.yaml"
_HEAD: Final = "# Generated from the vocabulary of metrics by: weft telemetry alerts\n"


def dashboard_text() -> str:
    """The dashboard, for Grafana's import or its provisioning folder."""
    return json.dumps(dashboard(), indent=2) + "\n"


def alerts_text(runbooks: str = RUNBOOKS) -> str:
    """The rules, for `rule_files` of Prometheus."""
    return _HEAD + yaml.safe_dump(rules(runbooks), sort_keys=False, width=140)


def files() -> Mapping[str, str]:
    """Text by name."""
    return {DASHBOARD: dashboard_text(), ALERTS: alerts_text()}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, "utf-8")
