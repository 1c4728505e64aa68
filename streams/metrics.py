"""What a worker measures: the vocabulary's metrics as Prometheus keeps them, and the watch that feeds them."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from processors.step import Signal
from schemas.metrics import PREFIX, STEP, Kind, Metric, counted
from schemas.positions import Source
from schemas.tracing import Trace
from schemas.vocabulary import Verdict
from streams.watch import Call, NoWatch, Settled, Timing

LOGGER = logging.getLogger("weft.worker")

CHILDREN = 500
"""Of a metric: beyond it the last of its labels, if it is one that a plugin may fill with anything, is `other`."""
OPEN = frozenset({"rule", "what", "kind", "column"})

Exemplar: TypeAlias = dict[str, str] | None
Child: TypeAlias = Any  # of the metric's kind

disable_created_metrics()  # type: ignore[no-untyped-call]


class Meters:
    """A `Watch` that feeds every metric of the vocabulary. `first` is called when the first batch has settled."""

    def __init__(
        self, flow: str, clock_ms: Callable[[], int], heard: Callable[[Sequence[Signal]], None], first: Callable[[], None]
    ) -> None:
        self._flow, self._clock_ms, self._heard, self._first = flow, clock_ms, heard, first
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._made: Mapping[Metric, Child] = {metric: _made(metric, self.registry) for metric in Metric}
        self._children: dict[Metric, dict[tuple[str, ...], Child]] = {metric: {} for metric in Metric}
        self.last_failure = ""
        self.settled_rows = 0
        self.held: int | None = None  # partitions; None before the first assignment

    def settled(self, batch: Settled) -> None:
        """See Watch."""
        if not self.settled_rows:
            self._first()
        self.settled_rows += batch.rows
        now_ms, exemplar = self._clock_ms(), _exemplar(batch.passages[0].trace if batch.passages else None)
        self._add(Metric.EVENTS, batch.rows)
        for (verdict, reason, rule), rows in batch.verdicts.items():
            self._add(Metric.OUTCOMES, rows, verdict, reason, rule)
            if verdict == Verdict.RETRY:
                self._add(Metric.RETRIES, rows, "topic")
        self._add(Metric.RETRIES, batch.in_place, "place")
        self._observe(Metric.TRANSACTION_SECONDS, batch.seconds, exemplar)
        self._observe(Metric.BATCH_ROWS, batch.rows)
        self._observe(Metric.LATENCY_SECONDS, max(0, now_ms - batch.fetched_ms) / 1000, exemplar)
        self._observe(Metric.AGE_SECONDS, max(0, now_ms - batch.oldest_ms) / 1000, exemplar)
        traces = {timing.step: passage.trace for passage in batch.passages for timing in passage.timings}
        for phase, seconds in batch.phases.items():
            self._observe(Metric.PHASE_SECONDS, seconds, None, phase)
        for timing in batch.timings:
            self._stepped(timing, traces.get(timing.step))

    def _stepped(self, timing: Timing, trace: Trace | None) -> None:
        self._add(Metric.STEP_ROWS, timing.rows, timing.step)
        self._observe(Metric.STEP_SECONDS, timing.seconds, _exemplar(trace), timing.step)
        for what, count in timing.counts.items():
            metric = counted(what)
            labels = (timing.step,) if metric else (timing.step, what)
            self._add(metric or Metric.STEP_COUNTS, count, *labels)
        for reading in timing.readings:
            if metric := _READ.get(reading.name):
                told = {"step": timing.step, "column": reading.column, "partition": str(reading.source.partition)}
                self.set(metric, reading.value, *(told[label] for label in metric.spec.labels[1:]))

    def asked(self, call: Call) -> None:
        """See Watch."""
        name = call.model.partition("@")[0]
        self._observe(Metric.MODEL_SECONDS, call.seconds, _exemplar(call.trace), name, call.outcome)
        if call.outcome == "answered":
            self._add(Metric.MODEL_ROWS, call.rows, name)

    def signalled(self, signals: Sequence[Signal]) -> None:
        """See Watch."""
        for signal in signals:
            self._add(Metric.SIGNALS, 1, signal.step, signal.kind, signal.column)
        self._heard(signals)

    def failed(self, what: str) -> None:
        """See Watch."""
        LOGGER.warning("%s", what)
        self.last_failure = what
        self._add(Metric.FAILURES, 1, what.partition(":")[0])

    def owns(self, sources: Sequence[Source]) -> None:
        """See Watch."""
        self.held = len(sources)
        self.set(Metric.PARTITIONS, self.held)
        kept = {str(source.partition) for source in sources}
        for metric in _READ.values():
            for labels in [labels for labels in self._children[metric] if labels[-1] not in kept]:
                del self._children[metric][labels]
                self._made[metric].remove(*labels)

    def spans(self, exported: int, dropped: int) -> None:
        """What became of spans."""
        self._add(Metric.SPANS, exported, "exported")
        self._add(Metric.SPANS, dropped, "dropped")

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """What stands now; labels in the vocabulary's order, without the flow."""
        self._child(metric, labels).set(value)

    def fill(self, metric: Metric, values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """All that a gauge has to say now."""
        self._children[metric].clear()
        self._made[metric].clear()
        for labels, value in values:
            self.set(metric, value, *labels)

    def exposition(self, accepted: str) -> tuple[bytes, str]:
        """All metrics, and their content type: OpenMetrics with exemplars for who accepts it, else Prometheus' text."""
        encode, content_type = choose_encoder(accepted)
        return encode(self.registry), content_type

    def _add(self, metric: Metric, count: float, *labels: str) -> None:
        if count > 0:
            self._child(metric, labels).inc(count)

    def _observe(self, metric: Metric, value: float, exemplar: Exemplar = None, *labels: str) -> None:
        self._child(metric, labels).observe(value, exemplar)

    def _child(self, metric: Metric, labels: tuple[str, ...]) -> Child:
        """Kept here, as asking Prometheus for it takes ten times as long."""
        children, full = self._children[metric], (self._flow, *labels)
        if (child := children.get(full)) is None:
            if len(children) >= CHILDREN and metric.spec.labels[-1] in OPEN:
                full = (*full[:-1], "other")
            child = children[full] = self._made[metric].labels(*full)
        return child


class Unmeasured(NoWatch):
    """A watch that counts nothing but the first batch, and passes on what others must hear of: what metrics cost is measured with it."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self.signalled, self.owns, self.failed = meters.signalled, meters.owns, meters.failed  # type: ignore[method-assign]

    def settled(self, batch: Settled) -> None:
        """See Watch."""
        if not self._meters.settled_rows:
            self._meters.settled(batch)


_READ = {metric.spec.name.removeprefix(PREFIX): metric for metric in Metric if set(metric.spec.labels) >= {*STEP, "partition"}}
"""Gauges of what steps read, by the name of the reading."""


def _made(metric: Metric, registry: CollectorRegistry) -> Child:
    spec = metric.spec
    match spec.kind:
        case Kind.COUNTER:
            return Counter(spec.name, spec.help, spec.labels, registry=registry)
        case Kind.GAUGE:
            return Gauge(spec.name, spec.help, spec.labels, unit=spec.unit, registry=registry)
        case Kind.HISTOGRAM:
            return Histogram(spec.name, spec.help, spec.labels, unit=spec.unit, buckets=spec.buckets, registry=registry)


def _exemplar(trace: Trace | None) -> Exemplar:
    return None if trace is None else {"trace_id": trace.trace_id, "span_id": trace.span_id}
