"""Tells the passages of traced events as spans, by OpenTelemetry's conventions for messaging; and the watch that has them exported.

Each traced event has the whole story in its own trace, also what its batch did together: such spans say how many rows they were about. The
span of a pass is `process`, a consumer's; below it the steps, below these the calls of models, the writing of the outcome, the commit.
Nothing in them is of an event's key, value or headers.
"""

import time
from collections.abc import Iterator

from connectors.telemetry.outbox import Outbox
from connectors.telemetry.span import Exporter, Kind, Span, Value
from schemas.tracing import SEND
from schemas.vocabulary import Verdict
from streams.calls import call_name
from streams.settings import Settings
from streams.slot import Slot
from streams.watch import NoWatch, Passage, Settled, Timing

COMMIT = "commit"
FAILED = frozenset({Verdict.DEAD_LETTER, Verdict.UNREADABLE})
CLOSE_S = 1.0


class Spans(NoWatch):
    """A watch that exports the spans of traced events."""

    def __init__(self, slot: Slot, settings: Settings) -> None:
        teller = Teller(slot)
        self._outbox: Outbox[Settled] = Outbox(teller.spans, size, lambda: exporter(slot, settings))
        self._told = (0, 0)

    def settled(self, batch: Settled) -> None:
        """See Watch."""
        if batch.passages:
            self._outbox.put(batch)

    def news(self) -> tuple[int, int]:
        """Spans exported and dropped since the last call."""
        now, before = (self._outbox.exported, self._outbox.dropped), self._told
        self._told = now
        return now[0] - before[0], now[1] - before[1]

    def close(self) -> None:
        """Export what waits; for a second at most."""
        self._outbox.close(CLOSE_S)


def exporter(slot: Slot, settings: Settings) -> Exporter:
    """To the collector that the settings name, else to the slot's file."""
    resource = {"service.name": slot.flow, "service.namespace": "weft", "service.instance.id": slot.name}
    if settings.trace_endpoint:
        from connectors.telemetry.otlp import OtlpExporter  # noqa: PLC0415  # only who sends to a collector pays for its import

        return OtlpExporter(settings.trace_endpoint, resource)
    from connectors.telemetry.file import FileExporter  # noqa: PLC0415

    return FileExporter(slot.spans_file, resource)


def size(batch: Settled) -> int:
    """About how many spans a batch comes to."""
    return sum(3 + len(passage.timings) for passage in batch.passages)


class Teller:
    """Turns a batch's passages into spans."""

    def __init__(self, slot: Slot) -> None:
        self._client: dict[str, Value] = {
            "messaging.system": "kafka",
            "messaging.client.id": slot.name,
            "messaging.consumer.group.name": slot.flow,
        }

    def spans(self, batch: Settled) -> Iterator[Span]:
        """All of them, one after the other."""
        zero_ns = time.time_ns() - time.perf_counter_ns()
        begins = zero_ns + round(batch.began_s * 1e9)
        ends = begins + round(batch.seconds * 1e9)
        for passage in batch.passages:
            yield from self._passage(passage, batch, zero_ns, (begins, ends))

    def _passage(self, passage: Passage, batch: Settled, zero_ns: int, settling: tuple[int, int]) -> Iterator[Span]:
        trace, verdict = passage.trace, passage.verdict
        attributes = self._client | _operation("process", "process", passage.position.topic) | _place(passage)
        error = (passage.reason or verdict.value) if verdict in FAILED else ""
        if error:
            attributes["error.type"] = error
        yield Span(
            f"process {passage.position.topic}",
            Kind.CONSUMER,
            trace.trace_id,
            trace.span_id,
            trace.parent_id,
            batch.fetched_ms * 1_000_000,
            settling[1],
            attributes,
            trace.parent_id,
            error,
        )
        for timing in passage.timings:
            yield from _step(passage, timing, zero_ns)
        if passage.topic:
            sent = self._client | _operation(SEND, SEND, passage.topic) | {"weft.verdict": verdict.value}
            yield self._below(passage, f"send {passage.topic}", SEND, Kind.PRODUCER, settling, sent)
        committed = self._client | _operation(COMMIT, "settle", passage.position.topic) | {"messaging.batch.message_count": batch.rows}
        yield self._below(passage, f"commit {passage.position.topic}", COMMIT, Kind.CLIENT, settling, committed)

    @staticmethod
    def _below(passage: Passage, name: str, what: str, kind: Kind, when: tuple[int, int], attributes: dict[str, Value]) -> Span:
        trace = passage.trace
        return Span(name, kind, trace.trace_id, trace.child(what), trace.span_id, *when, attributes)


def _step(passage: Passage, timing: Timing, zero_ns: int) -> Iterator[Span]:
    trace, own = passage.trace, passage.trace.child(f"step {timing.step}")
    begins = zero_ns + round(timing.began_s * 1e9)
    told: dict[str, Value] = {"weft.step": timing.step, "weft.batch.rows": timing.rows}
    yield Span(timing.step, Kind.INTERNAL, trace.trace_id, own, trace.span_id, begins, begins + round(timing.seconds * 1e9), told)
    for number, call in enumerate(timing.calls):
        begins = zero_ns + round(call.began_s * 1e9)
        asked: dict[str, Value] = {"weft.model": call.model, "weft.batch.rows": call.rows}
        error = "" if call.outcome == "answered" else call.outcome
        if error:
            asked["error.type"] = error
        span_id, ends = trace.child(call_name(timing.step, number)), begins + round(call.seconds * 1e9)
        yield Span(f"infer {call.model}", Kind.CLIENT, trace.trace_id, span_id, own, begins, ends, asked, "", error)


def _operation(name: str, kind: str, topic: str) -> dict[str, Value]:
    return {"messaging.operation.name": name, "messaging.operation.type": kind, "messaging.destination.name": topic}


def _place(passage: Passage) -> dict[str, Value]:
    """Where it was, and what became of it."""
    told: dict[str, Value] = {
        "messaging.destination.partition.id": str(passage.position.partition),
        "messaging.kafka.offset": passage.position.offset,
        "weft.flow": passage.flow,
        "weft.root": str(passage.root),
        "weft.pass": passage.number,
        "weft.generation": passage.generation,
        "weft.verdict": passage.verdict.value,
    }
    return told | {"weft.reason": passage.reason} if passage.reason else told
