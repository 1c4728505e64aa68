"""What two looks at the workers of a flow come to: rates and times between them, and how all stands now."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ops.top.exposition import Labels, of
from ops.top.workers import Look, Said
from schemas.metrics import Metric

Growth = Mapping[Labels, float]


@dataclass(frozen=True, slots=True)
class Step:
    """One step, over all workers."""

    step: str
    rows_per_s: float
    batch_ms: float | None  # mean time for a batch; None where there was none
    share: float  # of the time of all steps
    waits: str  # for what; empty if it does not


@dataclass(frozen=True, slots=True)
class View:
    """One flow."""

    flow: str
    versions: Sequence[str]
    up: int  # workers that answer
    of: int
    ready: int
    events_per_s: float
    outcomes: Mapping[str, float]  # since the workers began, by verdict
    outcomes_per_s: Mapping[str, float]
    lag: int  # offsets; without what waits for a retry
    oldest_s: float
    retrying: int  # offsets of the retry topics
    latency_s: float | None  # from fetch to commit, mean
    steps: Sequence[Step]
    breakers: Mapping[str, str]
    drift: Mapping[str, tuple[float, float]]  # column: the largest index of its partitions, and its threshold
    reviews_open: int
    in_flight_bytes: int
    memory_bytes: int
    paused: str  # why; empty if it is not
    reasons: Sequence[str]  # why workers are not at work
    last_failure: str

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def views(before: Look | None, now: Look) -> list[View]:
    """Of every flow, by name. Without a look before, what happened since the workers began counts, and nothing is a rate."""
    flows: dict[str, list[Said]] = defaultdict(list)
    for said in now.workers:
        flows[said.slot.flow].append(said)
    old = {} if before is None else {(said.slot.flow, said.slot.number): said for said in before.workers}
    seconds = now.at_s - before.at_s if before is not None else 0.0
    return [_view(flow, said, old, seconds) for flow, said in sorted(flows.items())]


def _view(flow: str, workers: Sequence[Said], old: Mapping[tuple[str, int], Said], seconds: float) -> View:
    up = [said for said in workers if said.status is not None]

    def grown(metric: Metric, part: int = 0) -> Growth:
        total: Counter[Labels] = Counter()
        for said in up:
            total.update(dict(_grown(said, old.get((said.slot.flow, said.slot.number)), metric, part)))
        return total

    def rates(growth: Growth, label: str) -> dict[str, float]:
        return {name: count / seconds if seconds > 0 else 0.0 for name, count in _by(growth, label).items()}

    statuses = [said.status for said in up if said.status is not None]
    totals = sum((_by(of(said.samples, Metric.OUTCOMES), "verdict") for said in up), Counter[str]())
    lags = _lags(up)
    ages = [one for said in up for one in of(said.samples, Metric.OLDEST_AGE).items()]
    count = sum(grown(Metric.LATENCY_SECONDS, 2).values())
    return View(
        flow=flow,
        versions=sorted({dict(labels).get("version", "") for said in up for labels in of(said.samples, Metric.FLOW_VERSION)}),
        up=len(up),
        of=len(workers),
        ready=sum(not status["reasons"] for status in statuses),
        events_per_s=sum(rates(grown(Metric.EVENTS), "flow").values()),
        outcomes=dict(totals.most_common()),
        outcomes_per_s=rates(grown(Metric.OUTCOMES), "verdict"),
        lag=sum(behind for topic, behind in lags if not _waits(topic)),
        oldest_s=max((age for labels, age in ages if not _waits(dict(labels).get("topic", ""))), default=0.0),
        retrying=sum(behind for topic, behind in lags if _waits(topic)),
        latency_s=sum(grown(Metric.LATENCY_SECONDS, 1).values()) / count if count else None,
        steps=_steps(grown, _waiting(statuses), seconds),
        breakers={model: state for status in statuses for model, state in (status.get("breakers") or {}).items()},
        drift=_drift(up),
        reviews_open=int(sum(_values(up, Metric.REVIEWS_OPEN))),
        in_flight_bytes=int(sum(_values(up, Metric.IN_FLIGHT_BYTES))),
        memory_bytes=sum(int(status.get("memory_bytes", 0)) for status in statuses),
        paused=next((status["paused"].get("why") or "by a person" for status in statuses if status.get("paused")), ""),
        reasons=sorted({reason for status in statuses for reason in status["reasons"]}),
        last_failure=next((status["last_failure"] for status in statuses if status.get("last_failure")), ""),
    )


def _grown(said: Said, before: Said | None, metric: Metric, part: int) -> Iterator[tuple[Labels, float]]:
    """How much each series grew. A worker that started again counts from nothing."""
    now = of(said.samples, metric, part)
    old = of(before.samples, metric, part) if before is not None and before.status is not None else {}
    for labels, value in now.items():
        yield labels, value - old.get(labels, 0.0) if value >= old.get(labels, 0.0) else value


def _by(growth: Growth, label: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for labels, value in growth.items():
        found[dict(labels).get(label, "")] += value  # type: ignore[assignment]
    return found


def _values(workers: Sequence[Said], metric: Metric) -> list[float]:
    return [value for said in workers for value in of(said.samples, metric).values()]


def _waiting(statuses: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """For what each step waits."""
    lanes = [status.get("lane") or {} for status in statuses]
    return {step: why for lane in lanes for step, why in (lane.get("waiting_for") or {}).items()}


def _lags(workers: Sequence[Said]) -> list[tuple[str, int]]:
    """Topic and offsets behind of each partition; of two workers that tell of one, while it moves, the larger."""
    found: dict[Labels, float] = {}
    for said in workers:
        for labels, value in of(said.samples, Metric.LAG_RECORDS).items():
            found[labels] = max(found.get(labels, 0.0), value)
    return [(dict(labels).get("topic", ""), int(value)) for labels, value in found.items()]


def _waits(topic: str) -> bool:
    """Whether the topic's records wait on purpose."""
    return ".retry." in topic


def _steps(grown: Any, waiting: Mapping[str, str], seconds: float) -> list[Step]:
    """In the order in which workers tell them, which is that of the flow."""
    spent, batches = _by(grown(Metric.STEP_SECONDS, 1), "step"), _by(grown(Metric.STEP_SECONDS, 2), "step")
    rows, total = _by(grown(Metric.STEP_ROWS), "step"), sum(spent.values()) if spent else 0.0
    return [
        Step(
            step,
            rows[step] / seconds if seconds > 0 else 0.0,
            1000 * spent[step] / batches[step] if batches[step] else None,
            spent[step] / total if total else 0.0,
            waiting.get(step, ""),
        )
        for step in dict.fromkeys((*spent, *waiting))
    ]


def _drift(workers: Sequence[Said]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for said in workers:
        thresholds = of(said.samples, Metric.DRIFT_PSI_THRESHOLD)
        for labels, psi in of(said.samples, Metric.DRIFT_PSI).items():
            column = dict(labels).get("column", "")
            if psi >= found.get(column, (-1.0, 0.0))[0]:
                found[column] = (psi, thresholds.get(labels, 0.0))
    return found
