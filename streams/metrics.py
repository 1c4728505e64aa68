"""What a worker measures: the closed list of metric names, and the watch that feeds them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from processors.step import Signal
from schemas.positions import Source

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metric(StrEnum):
    """The name of a metric; each comment is its documentation."""

    EVENTS = "weft_events"  # rows settled
    OUTCOMES = "weft_outcomes"  # rows settled, by verdict, reason and rule
    STEP_ROWS = "weft_step_rows"  # rows that a step worked on
    STEP_SECONDS = "weft_step_seconds"  # time of a step per batch
    STEP_COUNTS = "weft_step_counts"  # what a step itself counts, by step and name, e.g. missing keys of a lookup
    TRANSACTION_SECONDS = "weft_transaction_seconds"  # time of a transaction, from its first record to its commit
    BATCH_ROWS = "weft_batch_rows"  # rows per transaction
    LATENCY_SECONDS = "weft_latency_seconds"  # of a batch's oldest row, from its fetch to its commit
    SIGNALS = "weft_signals"  # alerts of committed batches, by kind, step and column
    SIGNAL_FIGURE = "weft_signal_figure"  # the last figures of an alert, by kind, step, column and figure
    FAILURES = "weft_failures"  # transactions that were aborted and ports that were down, by kind
    PARTITIONS = "weft_partitions"  # partitions held now
    PAUSED = "weft_paused"  # 1 while the flow is paused
    IN_FLIGHT_BYTES = "weft_in_flight_bytes"  # values of the batches in flight
    REVIEWS_OPEN = "weft_reviews_open"  # open reviews of the partitions held
    WAITING = "weft_waiting"  # 1 while a step waits for a port, by step
    BREAKER_OPEN = "weft_breaker_open"  # 1 while a model's breaker is not closed, by model


LOGGER = logging.getLogger("weft.worker")


class Meters:
    """A `Watch` that feeds Prometheus metrics, all of whose names are of `Metric`. `first` is called when the first batch has settled."""

    def __init__(
        self, flow: str, clock_ms: Callable[[], int], heard: Callable[[Sequence[Signal]], None], first: Callable[[], None]
    ) -> None:
        self._clock_ms, self._heard, self._first = clock_ms, heard, first
        self.registry = registry = CollectorRegistry()
        self._constant = {"flow": flow}
        self._events = Counter(Metric.EVENTS, "Rows settled.", ["flow"], registry=registry)
        self._outcomes = Counter(Metric.OUTCOMES, "Rows settled, by verdict.", ["flow", "verdict", "reason", "rule"], registry=registry)
        self._step_rows = Counter(Metric.STEP_ROWS, "Rows that a step worked on.", ["flow", "step"], registry=registry)
        self._step_s = Histogram(Metric.STEP_SECONDS, "Time of a step per batch.", ["flow", "step"], buckets=_SECONDS, registry=registry)
        self._counts = Counter(Metric.STEP_COUNTS, "What a step counts.", ["flow", "step", "what"], registry=registry)
        self._commit_s = Histogram(Metric.TRANSACTION_SECONDS, "Time of a transaction.", ["flow"], buckets=_SECONDS, registry=registry)
        self._rows = Histogram(
            Metric.BATCH_ROWS, "Rows per transaction.", ["flow"], buckets=(1, 10, 100, 1000, 2500, 5000, 10000), registry=registry
        )
        self._latency_s = Histogram(Metric.LATENCY_SECONDS, "Fetch to commit, oldest row.", ["flow"], buckets=_SECONDS, registry=registry)
        self._signals = Counter(Metric.SIGNALS, "Alerts.", ["flow", "kind", "step", "column"], registry=registry)
        self._figure = Gauge(
            Metric.SIGNAL_FIGURE, "Last figures of an alert.", ["flow", "kind", "step", "column", "figure"], registry=registry
        )
        self._failures = Counter(Metric.FAILURES, "Aborts and outages.", ["flow", "kind"], registry=registry)
        self._partitions = Gauge(Metric.PARTITIONS, "Partitions held now.", ["flow"], registry=registry)
        self._gauges = {
            name: Gauge(name, text, ["flow"], registry=registry)
            for name, text in (
                (Metric.PAUSED, "1 while the flow is paused."),
                (Metric.IN_FLIGHT_BYTES, "Bytes in flight."),
                (Metric.REVIEWS_OPEN, "Open reviews."),
            )
        }
        self._waiting = Gauge(Metric.WAITING, "1 while a step waits.", ["flow", "step"], registry=registry)
        self._breakers = Gauge(Metric.BREAKER_OPEN, "1 while a breaker is not closed.", ["flow", "model"], registry=registry)
        self.last_failure = ""
        self.settled_rows = 0
        self.held: int | None = None  # partitions; None before the first assignment

    def stepped(self, step: str, rows: int, seconds: float, counts: Mapping[str, float]) -> None:
        """See Watch."""
        self._step_rows.labels(**self._constant, step=step).inc(rows)
        self._step_s.labels(**self._constant, step=step).observe(seconds)
        for what, count in counts.items():
            if count > 0:
                self._counts.labels(**self._constant, step=step, what=what).inc(count)

    def settled(self, verdicts: Mapping[tuple[str, str, str], int], seconds: float, oldest_ms: int) -> None:
        """See Watch."""
        if not self.settled_rows:
            self._first()
        rows = sum(verdicts.values())
        self.settled_rows += rows
        self._events.labels(**self._constant).inc(rows)
        for (verdict, reason, rule), count in verdicts.items():
            self._outcomes.labels(**self._constant, verdict=verdict, reason=reason, rule=rule).inc(count)
        self._commit_s.labels(**self._constant).observe(seconds)
        self._rows.labels(**self._constant).observe(rows)
        self._latency_s.labels(**self._constant).observe(max(0, self._clock_ms() - oldest_ms) / 1000)

    def signalled(self, signals: Sequence[Signal]) -> None:
        """See Watch."""
        for signal in signals:
            place = self._constant | {"kind": signal.kind, "step": signal.step, "column": signal.column}
            self._signals.labels(**place).inc()
            for name, figure in signal.figures.items():
                self._figure.labels(**place, figure=name).set(figure)
        self._heard(signals)

    def failed(self, what: str) -> None:
        """See Watch."""
        LOGGER.warning("%s", what)
        self.last_failure = what
        self._failures.labels(**self._constant, kind=what.partition(":")[0]).inc()

    def owns(self, sources: Sequence[Source]) -> None:
        """See Watch."""
        self.held = len(sources)
        self._partitions.labels(**self._constant).set(self.held)

    def show(self, gauges: Mapping[Metric, float], waiting: Sequence[str], breakers: Mapping[str, bool]) -> None:
        """What stands at the moment of a scrape: steps that wait, models whose breaker is (True) not closed."""
        for name, value in gauges.items():
            self._gauges[name].labels(**self._constant).set(value)
        self._waiting.clear()
        for step in waiting:
            self._waiting.labels(**self._constant, step=step).set(1)
        for model, is_open in breakers.items():
            self._breakers.labels(**self._constant, model=model).set(is_open)

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self.registry)
