"""The dashboard as Grafana reads it: import it, choose the data source, choose flows."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ops.dashboards.panels import Panel, Row, rows
from ops.dashboards.query import Query
from schemas.metrics import Kind, Metric

TITLE: Final = "Weft flows"
UID: Final = "weft-flows"
HEIGHT, STAT_HEIGHT, COLUMNS = 8, 4, 24
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


def dashboard() -> Mapping[str, Any]:
    """The whole of it. The same vocabulary gives the same dashboard."""
    return {
        "uid": UID,
        "title": TITLE,
        "description": "Generated from the vocabulary of metrics by: weft telemetry dashboard",
        "tags": ["weft"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables())},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_laid()),
    }


def _variables() -> Iterator[Mapping[str, Any]]:
    yield {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0}
    (events,) = Metric.EVENTS.spec.series
    asked = {"query": f"label_values({events}, flow)", "refId": "flows"}
    yield {
        "name": "flow",
        "label": "Flow",
        "type": "query",
        "datasource": _SOURCE,
        "definition": asked["query"],
        "query": asked,
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }


def _laid() -> Iterator[Mapping[str, Any]]:
    """Rows below each other, panels from left to right; a folded row carries its panels inside."""
    number, y = 1, 0
    for row in rows():
        head = _head(row, number, y)
        inside, below = _row(row, number + 1, y + 1)
        number, y = number + 1 + len(inside), y + 1 if row.folded else below
        yield head | {"panels": inside if row.folded else []}
        if not row.folded:
            yield from inside


def _head(row: Row, number: int, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": row.title, "collapsed": row.folded, "gridPos": place}


def _row(row: Row, number: int, y: int) -> tuple[list[Mapping[str, Any]], int]:
    """The panels, and where the next row begins."""
    found: list[Mapping[str, Any]] = []
    x, high = 0, STAT_HEIGHT
    for panel in row.panels:
        high = STAT_HEIGHT if panel.kind == "stat" else HEIGHT
        if x + panel.width > COLUMNS:
            x, y = 0, y + high
        found.append(_panel(panel, number + len(found), {"x": x, "y": y, "w": panel.width, "h": high}))
        x += panel.width
    return found, y + high


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> Mapping[str, Any]:
    drawn: dict[str, Any] = {
        "custom": {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if panel.stacked else "none"}}
    }
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "stat":
        drawn, options = {}, {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "none"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, **({"max": panel.most} if panel.most else {}), **drawn},
            "overrides": [],
        },
        "options": options,
        "targets": [_target(query, chr(ord("A") + at)) for at, query in enumerate(panel.queries)],
    }


def _target(query: Query, name: str) -> Mapping[str, Any]:
    traced = any(metric.spec.kind is Kind.HISTOGRAM and metric.spec.unit == "seconds" for metric in query.metrics)
    return {"refId": name, "datasource": _SOURCE, "expr": query.text, "legendFormat": query.legend, "exemplar": traced, "range": True}
