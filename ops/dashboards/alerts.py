"""The alert rules, each with a page that says what to do: docs/runbooks/."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ops.dashboards.query import IN_TIME, Asking, Query
from schemas.metrics import STEP, Metric

RUNBOOKS: Final = "docs/runbooks"
FLOW: Final = ("flow",)
_SHORT, _LONG = Asking(window="5m"), Asking(window="15m")
_EVENTS: Final = _LONG.rate(Metric.EVENTS, FLOW)


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule."""

    name: str
    query: Query
    wait: str  # how long it must hold
    severity: str  # critical: events stand still or soon will; warning: in working hours; info: to know
    summary: str  # `{{ $labels.x }}` stands for a label's value

    @property
    def page(self) -> str:
        """The file of its runbook: WeftWorkerDown is worker-down.md."""
        words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in self.name.removeprefix("Weft"))
        return f"{words[1:]}.md"

    def rule(self, runbooks: str) -> Mapping[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.query.text,
            "for": self.wait,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook_url": f"{runbooks.rstrip('/')}/{self.page}"},
        }


def _verdicts(verdict: str) -> Query:
    return _LONG.rate(Metric.OUTCOMES, FLOW, {"verdict": verdict}).over(_EVENTS)


ALERTS: Final = (
    Alert("WeftWorkerDown", Query('up{job="weft"} == 0', ()), "1m", "critical", "No worker answers at {{ $labels.instance }}."),
    Alert(
        "WeftWorkerRestarts",
        Query('changes(process_start_time_seconds{job="weft"}[15m]) > 2', ()),
        "0m",
        "critical",
        "The worker at {{ $labels.instance }} started {{ $value }} times in a quarter of an hour.",
    ),
    Alert(
        "WeftNotReady",
        _SHORT.now(Metric.READY, ("flow", "instance"), "min").where("== 0"),
        "5m",
        "warning",
        "A worker of {{ $labels.flow }} ({{ $labels.instance }}) is up and not at work.",
    ),
    Alert(
        "WeftStandsStill",
        _SHORT.rate(Metric.EVENTS, FLOW)
        .where("== 0")
        .both(_SHORT.now(Metric.OLDEST_AGE, FLOW, "max", IN_TIME).where("> 120"), FLOW)
        .both(_SHORT.now(Metric.PAUSED, FLOW, "max").where("== 0"), FLOW),
        "5m",
        "critical",
        "{{ $labels.flow }} settles nothing, and events wait.",
    ),
    Alert(
        "WeftFallsBehind",
        _SHORT.now(Metric.OLDEST_AGE, FLOW, "max", IN_TIME).where("> 300"),
        "10m",
        "warning",
        "The oldest event of {{ $labels.flow }} has waited for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "WeftDeadLetters",
        _verdicts("dead-letter").where("> 0.01"),
        "5m",
        "warning",
        "{{ $value | humanizePercentage }} of the events of {{ $labels.flow }} end as dead letters.",
    ),
    Alert(
        "WeftRetries",
        _verdicts("retry").where("> 0.1"),
        "10m",
        "warning",
        "{{ $value | humanizePercentage }} of the rows of {{ $labels.flow }} must be tried again.",
    ),
    Alert(
        "WeftStepWaits",
        _SHORT.now(Metric.WAITING, STEP, "max").where("== 1"),
        "2m",
        "critical",
        "Step {{ $labels.step }} of {{ $labels.flow }} waits for a service that is down.",
    ),
    Alert(
        "WeftBreakerOpen",
        _SHORT.now(Metric.BREAKER_OPEN, ("flow", "model"), "max").where("== 1"),
        "2m",
        "critical",
        "{{ $labels.model }} fails, and {{ $labels.flow }} no longer asks it.",
    ),
    Alert(
        "WeftDegraded",
        _LONG.rate(Metric.MODEL_DEGRADED, STEP).over(_LONG.rate(Metric.STEP_ROWS, STEP)).where("> 0.01"),
        "10m",
        "warning",
        "A fallback answers for {{ $value | humanizePercentage }} of the rows of {{ $labels.flow }}.",
    ),
    Alert(
        "WeftTransactionsFail",
        _LONG.increase(Metric.FAILURES, ("flow", "kind")).where("> 5"),
        "5m",
        "warning",
        "{{ $labels.flow }} had {{ $value }} failures of kind {{ $labels.kind }} in a quarter of an hour.",
    ),
    Alert(
        "WeftTransactionsSlow",
        _SHORT.quantile(0.99, Metric.TRANSACTION_SECONDS, FLOW).where("> 5"),
        "10m",
        "warning",
        "Transactions of {{ $labels.flow }} take {{ $value | humanizeDuration }}; at ten seconds the broker ends them.",
    ),
    Alert(
        "WeftDrift",
        Query(f"{Metric.DRIFT_PSI.spec.name} > {Metric.DRIFT_PSI_THRESHOLD.spec.name}", (Metric.DRIFT_PSI, Metric.DRIFT_PSI_THRESHOLD)),
        "0m",
        "info",
        "{{ $labels.column }} of {{ $labels.flow }} has moved away from its reference (index {{ $value }}).",
    ),
    Alert(
        "WeftLookupsMissing",
        _LONG.rate(Metric.LOOKUP_MISSING, STEP).over(_LONG.rate(Metric.LOOKUP_ROWS, STEP)).where("> 0.2"),
        "15m",
        "warning",
        "{{ $labels.step }} of {{ $labels.flow }} finds nothing for {{ $value | humanizePercentage }} of its rows.",
    ),
    Alert(
        "WeftExpectationsFail",
        _SHORT.now(Metric.WATCH_FAILED, STEP, "max").where("> 0"),
        "0m",
        "info",
        "{{ $value }} expectations of {{ $labels.step }} in {{ $labels.flow }} are not met.",
    ),
    Alert(
        "WeftReviewsPileUp",
        _SHORT.now(Metric.REVIEWS_OPEN, FLOW).where("> 500"),
        "1h",
        "warning",
        "{{ $value }} reviews of {{ $labels.flow }} are open; those that nobody decides expire.",
    ),
    Alert(
        "WeftVersionsDiffer",
        Query(f"count by (flow) ({_SHORT.now(Metric.FLOW_VERSION, ('flow', 'version')).text}) > 1", (Metric.FLOW_VERSION,)),
        "15m",
        "warning",
        "Workers of {{ $labels.flow }} run {{ $value }} versions at once.",
    ),
    Alert(
        "WeftPaused", _SHORT.now(Metric.PAUSED, FLOW, "max").where("== 1"), "1h", "info", "{{ $labels.flow }} has been paused for an hour."
    ),
    Alert(
        "WeftMemory",
        Query('process_resident_memory_bytes{job="weft"} > 2e9', ()),
        "10m",
        "warning",
        "The worker at {{ $labels.instance }} takes {{ $value | humanize1024 }}B of memory.",
    ),
)


def rules(runbooks: str = RUNBOOKS) -> Mapping[str, Any]:
    """The file of rules. `runbooks` is where their pages are found: an address, or the folder in the repository."""
    listed: Sequence[Mapping[str, Any]] = [alert.rule(runbooks) for alert in ALERTS]
    return {"groups": [{"name": "weft", "rules": listed}]}
