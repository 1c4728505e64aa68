"""Dashboard and alert rules ask only for metrics and labels of the vocabulary, and the files in the repository are current."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.dashboards import files
from ops.dashboards.alerts import ALERTS
from ops.dashboards.query import SCRAPED, Asking
from schemas.metrics import Metric, series

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
OF_PROMETHEUS = {"up"}
ASK = Asking()
LABELS = {name: set(metric.spec.labels) for metric in Metric for name in metric.spec.series}


def panels(listed: list[Any]) -> Iterator[Any]:
    for panel in listed:
        yield panel
        yield from panels(panel.get("panels", []))


def read_dashboard() -> list[Any]:
    return list(panels(json.loads((files.FOLDER / files.DASHBOARD).read_text())["panels"]))


def expressions() -> list[str]:
    """As they stand in the files."""
    rules = yaml.safe_load((files.FOLDER / files.ALERTS).read_text())["groups"][0]["rules"]
    return [target["expr"] for panel in read_dashboard() for target in panel.get("targets", [])] + [rule["expr"] for rule in rules]


def asked(expression: str) -> tuple[set[str], set[str]]:
    """The series and the labels that an expression names."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    grouped = re.findall(r"\b(?:by|on|without|ignoring) \(([^)]*)\)", bare)
    matched = re.findall(r"\{([^}]*)\}", bare)
    labels = {label.strip() for group in grouped for label in group.split(",")}
    labels |= {re.split("[=!]", part)[0].strip() for group in matched for part in group.split(",") if part}
    rest = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|on) \([^)]*\)", "", bare)
    names = set(re.findall(r"(?<![\w.])[a-z_][a-z0-9_]*(?!\w)(?!\s*\()", rest)) - {"and", "or", "by", "on"}
    return names, labels


@pytest.mark.parametrize("name", list(files.files()))
def test_a_generated_file_is_current(name: str) -> None:
    assert files.files()[name] == (files.FOLDER / name).read_text(), "write it anew: python -m ops.dashboards.files"


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_that_is_asked_for_exists(expression: str) -> None:
    names, labels = asked(expression)
    assert names
    assert names <= series() | OF_PROMETHEUS
    known = set().union(*(LABELS.get(name, set()) for name in names)) | SCRAPED | {"le"}
    assert labels <= known


def test_what_is_not_in_the_vocabulary_is_seen() -> None:
    assert asked('sum by (flow, colour) (rate(weft_events_totals{flow=~"a|b", job="x"}[5m])) > 0 and on (flow) weft_paused') == (
        {"weft_events_totals", "weft_paused"},
        {"flow", "colour", "job"},
    )


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for panel in read_dashboard() for target in panel.get("targets", []) for name in asked(target["expr"])[0]}
    assert {metric.name for metric in Metric if not shown & set(metric.spec.series)} == set()


def test_no_query_is_made_of_what_does_not_exist() -> None:
    with pytest.raises(ValueError, match="has no label colour"):
        ASK.rate(Metric.EVENTS, ("colour",))
    with pytest.raises(ValueError, match="has no label verdict"):
        ASK.rate(Metric.EVENTS, ("flow",), {"verdict": "result"})
    with pytest.raises(ValueError, match="not a gauge"):
        ASK.now(Metric.EVENTS, ("flow",))


def test_panels_have_places_and_numbers_of_their_own() -> None:
    listed = read_dashboard()
    assert len({panel["id"] for panel in listed}) == len(listed)
    taken: set[tuple[int, int]] = set()
    for panel in listed:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_a_runbook_that_says_what_to_do(alert: Any) -> None:
    page = (RUNBOOKS / alert.page).read_text()
    assert page.startswith(f"# {alert.name}\n")
    for heading in ("## What it means", "## What to look at", "## What to do"):
        assert heading in page
    assert "```\nweft " in page


def test_every_runbook_is_of_an_alert() -> None:
    assert {page.name for page in RUNBOOKS.glob("*.md")} - {"README.md"} == {alert.page for alert in ALERTS}
