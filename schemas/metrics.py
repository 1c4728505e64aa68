"""The closed vocabulary of metrics: all that a worker exposes, and that dashboards, alert rules and `weft top` may name.

Names follow Prometheus and OpenMetrics: `weft_`, the thing, the base unit (seconds, bytes) last; a counter's series ends in `_total`, a
histogram's in `_bucket`, `_sum` and `_count`. What a step counts under the name of a metric without `weft_` is that metric, with the label
`step`; anything else that it counts is `weft_step_counts`.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

PREFIX = "weft_"

BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
AGE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
ROWS = (1.0, 10.0, 100.0, 1000.0, 2500.0, 5000.0, 10000.0)


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"  # only grows, from 0 at a worker's start: look at its rate
    GAUGE = "gauge"  # what stands now
    HISTOGRAM = "histogram"  # how often a value fell below each bound; those of times carry the trace of a sampled event


class Phase(StrEnum):
    """Where a batch's time goes beside its steps. Those from `idle` on follow one another; other batches are in those before meanwhile."""

    FETCH = "fetch"  # the lane waits for the records
    PREPARE = "prepare"  # outcomes, digests and leaves are written down
    IDLE = "idle"  # the batch before is settled, and this one is not ready
    PRODUCE = "produce"  # a transaction is begun, and the client takes the records
    PACK = "pack"  # leaves become blocks of the ledger
    FLUSH = "flush"  # what was produced lands
    COMMIT = "commit"  # the offsets are sent, and all of it counts


@dataclass(frozen=True, slots=True)
class Spec:
    """What a metric is called, and what it says."""

    name: str
    kind: Kind
    unit: str  # the last word of the name, or "" for a plain number
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus keeps it."""
        match self.kind:
            case Kind.COUNTER:
                return (f"{self.name}_total",)
            case Kind.GAUGE:
                return (self.name,)
            case Kind.HISTOGRAM:
                return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))


def _counter(name: str, labels: tuple[str, ...], sentence: str) -> Spec:
    return Spec(PREFIX + name, Kind.COUNTER, "", labels, sentence)


def _gauge(name: str, labels: tuple[str, ...], sentence: str, unit: str = "") -> Spec:
    return Spec(PREFIX + name, Kind.GAUGE, unit, labels, sentence)


def _seconds(name: str, labels: tuple[str, ...], sentence: str, buckets: tuple[float, ...] = BATCH_SECONDS) -> Spec:
    return Spec(PREFIX + name, Kind.HISTOGRAM, "seconds", labels, sentence, buckets)


FLOW = ("flow",)
STEP = ("flow", "step")
SOURCE = ("flow", "topic", "partition")
MODEL = ("flow", "model")


class Metric(Enum):
    """Every metric of a worker. A worker is Prometheus' `instance`; to speak of a flow, add its workers up."""

    # events and outcomes
    EVENTS = _counter("events", FLOW, "Rows settled: their transaction has committed.")
    OUTCOMES = _counter("outcomes", (*FLOW, "verdict", "reason", "rule"), "Rows settled, by verdict, reason code and deciding rule.")
    RETRIES = _counter("retries", (*FLOW, "way"), "Rows that must be tried again, by way: `topic` (a retry topic) or `place` (order: key).")
    REVIEWS_OPEN = _gauge("reviews_open", FLOW, "Open reviews of the partitions that this worker holds.")

    # time
    STEP_SECONDS = _seconds("step_seconds", STEP, "Time that a step took for a batch.")
    STEP_ROWS = _counter("step_rows", STEP, "Rows that a step worked on.")
    PHASE_SECONDS = _seconds(
        "phase_seconds", (*FLOW, "phase"), f"Time that a phase took for a batch, beside its steps: {', '.join(Phase)}."
    )
    TRANSACTION_SECONDS = _seconds("transaction_seconds", FLOW, "Time of a transaction, from its first record to its commit.")
    LATENCY_SECONDS = _seconds("latency_seconds", FLOW, "From the fetch of a batch to its commit.")
    AGE_SECONDS = _seconds("age_seconds", FLOW, "From the time stamp of a batch's oldest record to its commit.", AGE_SECONDS)
    BATCH_ROWS = Spec(PREFIX + "batch_rows", Kind.HISTOGRAM, "", FLOW, "Rows of a transaction.", ROWS)

    # lag
    LAG_RECORDS = _gauge(
        "lag_records", SOURCE, "Offsets behind the last committed one, up to the end; a transaction's marker takes one too."
    )
    OLDEST_AGE = _gauge(
        "oldest_age_seconds", SOURCE, "Age of the oldest record that is not settled, by its time stamp; 0 where there is none.", "seconds"
    )

    # what steps count
    LOOKUP_ROWS = _counter("lookup_rows", STEP, "Rows that an enrich step looked up.")
    LOOKUP_MISSING = _counter(
        "lookup_missing_rows", STEP, "Rows for which the lookup has no fitting object: over lookup_rows, the missing rate."
    )
    LOOKUP_KEYS = _counter("lookup_keys", STEP, "Different keys of batches.")
    LOOKUP_ASKED = _counter("lookup_asked_keys", STEP, "Keys asked of the store; the other ones were in the worker's cache.")
    LOOKUP_MALFORMED = _counter("lookup_malformed_objects", STEP, "Objects of the store that do not fit their contract.")
    MODEL_DEGRADED = _counter("model_degraded_rows", STEP, "Rows for which a fallback answered instead of the model.")
    MODEL_FAILED = _counter("model_failed_calls", STEP, "Rungs of a model ladder that did not answer.")
    STEP_COUNTS = _counter("step_counts", (*STEP, "what"), "What a step counts beside these, e.g. what a plugin does.")

    # models
    MODEL_SECONDS = _seconds(
        "model_seconds", (*MODEL, "outcome"), "Time of a call of a model, by its name and outcome: `answered`, `failed`, `unreachable`."
    )
    MODEL_ROWS = _counter("model_rows", MODEL, "Rows that a model answered for.")
    BREAKER_OPEN = _gauge("breaker_open", MODEL, "1 while the breaker of a model, as name@version, is not closed.")

    # drift and quality
    DRIFT_PSI = _gauge("drift_psi", (*STEP, "column", "partition"), "Population stability index of the last full window, to the reference.")
    DRIFT_PSI_THRESHOLD = _gauge("drift_psi_threshold", (*STEP, "column", "partition"), "What the index must pass to be called drift.")
    DRIFT_KS = _gauge("drift_ks", (*STEP, "column", "partition"), "Kolmogorov-Smirnov distance of the last full window, to the reference.")
    DRIFT_WINDOW_ROWS = _gauge(
        "drift_window_rows", (*STEP, "partition"), "Rows in the window that fills up; it starts empty with the worker."
    )
    DRIFT_WINDOWS = _counter("drift_windows", STEP, "Windows that were full and compared; a window has rows of one partition.")
    SIGNALS = _counter("signals", (*STEP, "kind", "column"), "Alerts of committed batches, by kind (`drift`).")
    WATCH_SAMPLED = _counter("watch_sampled_rows", STEP, "Rows that a watch step sampled.")
    WATCH_DROPPED = _counter("watch_dropped_rows", STEP, "Sampled rows that were let go: whoever judges them is behind, or not there.")
    WATCH_FAILED = _gauge(
        "watch_failed_expectations",
        STEP,
        "Expectations that the last window did not meet; nothing where all are met, the same on every worker.",
    )

    # the lane
    FAILURES = _counter("failures", (*FLOW, "kind"), "Transactions that were aborted and ports that went down, by kind of error or step.")
    WAITING = _gauge("waiting", STEP, "1 while a step waits for a port that is down.")
    PAUSED = _gauge("paused", FLOW, "1 while a person has paused the flow.")
    READY = _gauge("ready", FLOW, "1 while this worker is at work; else /ready says why not.")
    PARTITIONS = _gauge("partitions", FLOW, "Partitions that this worker holds.")
    IN_FLIGHT_BATCHES = _gauge("in_flight_batches", FLOW, "Batches between fetch and commit.")
    IN_FLIGHT_BYTES = _gauge("in_flight_bytes", FLOW, "Bytes of the values in these.", "bytes")
    FIRST_BATCH = _gauge("first_batch_seconds", FLOW, "From the start of the process to its first batch; 0 before that.", "seconds")
    FLOW_VERSION = _gauge("flow_version", (*FLOW, "version", "worker"), "1; the version that the worker runs, and its slot.")

    # telemetry itself
    SPANS = _counter("spans", (*FLOW, "fate"), "Spans of sampled events, by fate: `exported` or `dropped`.")

    @property
    def spec(self) -> Spec:
        """What it is."""
        spec: Spec = self.value
        return spec


PROCESS = (
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_start_time_seconds",
    "process_open_fds",
    "process_max_fds",
)
"""Series of the worker's process, as every Prometheus client exposes them, without labels."""


def series() -> frozenset[str]:
    """Every name that a query may use."""
    return frozenset(name for metric in Metric for name in metric.spec.series) | frozenset(PROCESS)


def counted(name: str) -> Metric | None:
    """The metric that a step counts under this name, if it has one of its own."""
    return _COUNTED.get(name)


_COUNTED = {
    metric.spec.name.removeprefix(PREFIX): metric
    for metric in Metric
    if metric.spec.kind is Kind.COUNTER and metric.spec.labels == STEP and metric is not Metric.STEP_ROWS
}
