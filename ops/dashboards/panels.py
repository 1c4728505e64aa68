"""The panels of the dashboard, row by row, and one for every metric of the vocabulary that none of them shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ops.dashboards.query import IN_TIME, Asking, Query
from schemas.metrics import STEP, Kind, Metric

FLOW: Final = ("flow",)
MODEL: Final = ("flow", "model")
_ASK: Final = Asking({"flow": "~$flow"})


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. Widths are of 24."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    most: float | None = None  # of the axis
    stacked: bool = False

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that it asks for."""
        return tuple(dict.fromkeys(metric for query in self.queries for metric in query.metrics))

    @property
    def description(self) -> str:
        """As the vocabulary says it."""
        return "\n".join(f"{metric.spec.name}: {metric.spec.help}" for metric in self.metrics)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False


def _stat(title: str, query: Query, unit: str = "short") -> Panel:
    return Panel(title, (query,), unit, "stat", 4)


def _quantiles(metric: Metric, by: tuple[str, ...] = FLOW, legend: str = "{{flow}}") -> tuple[Query, ...]:
    return tuple(_ASK.quantile(share, metric, by).named(f"p{share * 100:.0f} {legend}") for share in (0.5, 0.95, 0.99))


def _shares(title: str, part: Metric, whole: Metric) -> Panel:
    """What a step counts, as a share of something else that it counts."""
    query = _ASK.rate(part, STEP).share_of(_ASK.rate(whole, STEP)).named("{{flow}} {{step}}")
    return Panel(title, (query,), "percentunit", most=1.0)


def _verdict(verdict: str) -> Query:
    return _ASK.rate(Metric.OUTCOMES, FLOW, {"verdict": verdict})


_GLANCE = Row(
    "At a glance",
    (
        _stat("Events a second", _ASK.rate(Metric.EVENTS, FLOW).named("{{flow}}"), "cps"),
        _stat("Oldest event that waits", _ASK.now(Metric.OLDEST_AGE, FLOW, "max", IN_TIME).named("{{flow}}"), "s"),
        _stat("Dead letters", _verdict("dead-letter").share_of(_ASK.rate(Metric.EVENTS, FLOW)).named("{{flow}}"), "percentunit"),
        _stat("Degraded", _ASK.rate(Metric.MODEL_DEGRADED, FLOW).share_of(_ASK.rate(Metric.EVENTS, FLOW)).named("{{flow}}"), "percentunit"),
        _stat("Open reviews", _ASK.now(Metric.REVIEWS_OPEN, FLOW).named("{{flow}}")),
        _stat("Workers at work", _ASK.now(Metric.READY, FLOW).named("{{flow}}")),
    ),
)
_OUTCOMES = Row(
    "Events and outcomes",
    (
        Panel("Outcomes by verdict", (_ASK.rate(Metric.OUTCOMES, ("flow", "verdict")).named("{{flow}} {{verdict}}"),), "cps", stacked=True),
        Panel(
            "Why events are no results",
            (
                _ASK.rate(
                    Metric.OUTCOMES, ("flow", "verdict", "reason", "rule"), {"verdict": "~dead-letter|quarantine|review|retry"}
                ).named("{{verdict}} {{reason}} {{rule}}"),
            ),
            "cps",
        ),
        Panel("Tried again", (_ASK.rate(Metric.RETRIES, ("flow", "way")).named("{{flow}} {{way}}"),), "cps"),
    ),
)
_LAG = Row(
    "Lag",
    (
        Panel("Offsets behind", (_ASK.now(Metric.LAG_RECORDS, ("flow", "topic")).named("{{flow}} {{topic}}"),)),
        Panel("Age of the oldest event", (_ASK.now(Metric.OLDEST_AGE, ("flow", "topic"), "max").named("{{flow}} {{topic}}"),), "s"),
        Panel("From an event's record to its outcome", _quantiles(Metric.AGE_SECONDS), "s"),
    ),
)
_TIME = Row(
    "Where the time goes",
    (
        Panel("Time of a step, mean", (_ASK.mean(Metric.STEP_SECONDS, STEP).named("{{flow}} {{step}}"),), "s"),
        Panel(
            "Time of a batch beside its steps, mean", (_ASK.mean(Metric.PHASE_SECONDS, ("flow", "phase")).named("{{flow}} {{phase}}"),), "s"
        ),
        Panel("Time of a transaction", _quantiles(Metric.TRANSACTION_SECONDS), "s"),
        Panel("From fetch to commit", _quantiles(Metric.LATENCY_SECONDS), "s"),
        Panel("Rows of a transaction, mean", (_ASK.mean(Metric.BATCH_ROWS, FLOW).named("{{flow}}"),)),
        Panel("Rows by step", (_ASK.rate(Metric.STEP_ROWS, STEP).named("{{flow}} {{step}}"),), "cps"),
        Panel("In flight", (_ASK.now(Metric.IN_FLIGHT_BYTES, FLOW).named("{{flow}}"),), "bytes"),
    ),
)
_MODELS = Row(
    "Models",
    (
        Panel("Time of a call", _quantiles(Metric.MODEL_SECONDS, MODEL, "{{model}}"), "s"),
        Panel("Calls by outcome", (Query(
            f"sum by (flow, model, outcome) (rate({Metric.MODEL_SECONDS.spec.series[2]}{{flow=~\"$flow\"}}[$__rate_interval]))",
            (Metric.MODEL_SECONDS,),
            "{{model}} {{outcome}}",
        ),), "cps"),
        Panel("Rows answered", (_ASK.rate(Metric.MODEL_ROWS, MODEL).named("{{model}}"),), "cps"),
        _shares("A fallback answered", Metric.MODEL_DEGRADED, Metric.STEP_ROWS),
        Panel("Rungs that did not answer", (_ASK.rate(Metric.MODEL_FAILED, STEP).named("{{flow}} {{step}}"),), "cps"),
        Panel("Breaker not closed", (_ASK.now(Metric.BREAKER_OPEN, MODEL, "max").named("{{model}}"),), most=1.0),
    ),
)  # fmt: skip
_QUALITY = Row(
    "Drift and quality",
    (
        Panel("Stability index", (_ASK.now(Metric.DRIFT_PSI, ("flow", "step", "column"), "max").named("{{column}}"),
                                  _ASK.now(Metric.DRIFT_PSI_THRESHOLD, ("flow", "step", "column"), "min").named("threshold {{column}}"))),
        Panel("Kolmogorov-Smirnov distance", (_ASK.now(Metric.DRIFT_KS, ("flow", "step", "column"), "max").named("{{column}}"),), most=1.0),
        Panel("Alerts", (_ASK.increase(Metric.SIGNALS, ("flow", "kind", "column")).named("{{kind}} {{column}}"),)),
        _shares("Missing in lookups", Metric.LOOKUP_MISSING, Metric.LOOKUP_ROWS),
        _shares("Asked of the store, of the keys", Metric.LOOKUP_ASKED, Metric.LOOKUP_KEYS),
        Panel("Expectations not met", (_ASK.now(Metric.WATCH_FAILED, STEP, "max").named("{{flow}} {{step}}"),)),
    ),
)  # fmt: skip
_LANE = Row(
    "Workers",
    (
        Panel("Aborts and outages", (_ASK.rate(Metric.FAILURES, ("flow", "kind")).named("{{flow}} {{kind}}"),), "cps"),
        Panel("Steps that wait", (_ASK.now(Metric.WAITING, STEP).named("{{flow}} {{step}}"),)),
        Panel("Partitions held", (_ASK.now(Metric.PARTITIONS, ("flow", "instance")).named("{{instance}}"),)),
        Panel("Versions at work", (_ASK.now(Metric.FLOW_VERSION, ("flow", "version")).named("{{flow}} {{version}}"),)),
        Panel("Memory", (Query('process_resident_memory_bytes{job="weft"}', (), "{{instance}}"),), "bytes"),
        Panel("Processors", (Query('rate(process_cpu_seconds_total{job="weft"}[$__rate_interval])', (), "{{instance}}"),)),
    ),
)


def rows() -> Sequence[Row]:
    """All rows; the last, folded, holds whatever metric no other shows."""
    shown = (_GLANCE, _OUTCOMES, _LAG, _TIME, _MODELS, _QUALITY, _LANE)
    there = {metric for row in shown for panel in row.panels for metric in panel.metrics}
    rest = tuple(_plain(metric) for metric in Metric if metric not in there)
    return (*shown, Row("Everything else", rest, folded=True)) if rest else shown


def _plain(metric: Metric) -> Panel:
    """A metric as it is, by all its labels."""
    spec = metric.spec
    legend = " ".join(f"{{{{{label}}}}}" for label in spec.labels)
    match spec.kind:
        case Kind.COUNTER:
            query = _ASK.rate(metric, spec.labels)
        case Kind.GAUGE:
            query = _ASK.now(metric, spec.labels)
        case Kind.HISTOGRAM:
            query = _ASK.quantile(0.95, metric, spec.labels)
    unit = {"seconds": "s", "bytes": "bytes"}.get(spec.unit, "cps" if spec.kind is Kind.COUNTER else "short")
    return Panel(spec.name.removeprefix("weft_").replace("_", " "), (query.named(legend),), unit)
