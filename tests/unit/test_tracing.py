"""Which events are traced, under which ids, and what their spans tell."""

import base64
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from connectors.log import Headers, Outgoing
from connectors.memory.log import MemoryLog
from connectors.memory.publisher import MemoryPublisher
from connectors.telemetry.file import FileExporter
from connectors.telemetry.memory import MemoryExporter
from connectors.telemetry.otlp import OtlpExporter, readable
from connectors.telemetry.outbox import Outbox
from connectors.telemetry.span import Kind, Span, Value
from schemas import decision
from schemas.decision import Action, Decision
from schemas.errors import AbortError
from schemas.positions import Position, Source
from schemas.tracing import SEND, sampled, trace
from schemas.vocabulary import Verdict
from streams.slot import Slot
from streams.spans import Teller
from streams.watch import NoWatch, Settled
from tests.simulation.small import World, running, small_flow, until

ROOT = Position("in", 1, 7)
GIVEN = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
RESOURCE = {"service.name": "f"}


class Told(NoWatch):
    """Keeps the spans of what was settled."""

    def __init__(self) -> None:
        self.batches: list[Settled] = []

    def settled(self, batch: Settled) -> None:
        self.batches.append(batch)

    def spans(self) -> list[Span]:
        teller = Teller(Slot("f", 0, 1, Path()))
        return [span for batch in self.batches for span in teller.spans(batch)]


async def headers(world: World, topic: str) -> list[dict[str, bytes | None]]:
    return [dict(pairs) for part in await world.records(topic) for pairs in part.headers or ()]


def test_a_share_is_that_share_and_part_of_every_larger_one() -> None:
    offsets = np.arange(1_000_000)
    small, large = (sampled(Source("in", 3), offsets, share) for share in (0.001, 0.01))
    assert small.sum() == pytest.approx(1_000, rel=0.15)
    assert large.sum() == pytest.approx(10_000, rel=0.05)
    assert not (small & ~large).any()
    assert (sampled(Source("in", 4), offsets, 0.001) != small).any()
    assert sampled(Source("in", 3), offsets, 1.0).all()
    assert not sampled(Source("in", 3), offsets, 0.0).any()


NONE = (None, b"", b"00-x", GIVEN.upper().encode(), GIVEN.replace("cd", "00").encode(), b"ff" + GIVEN[2:].encode())


@pytest.mark.parametrize("given", NONE)
def test_what_is_no_trace_context_begins_a_trace_of_its_own(given: bytes | None) -> None:
    own = trace(ROOT, 0, 0, given)
    assert own == trace(ROOT, 0, 0)
    assert (len(own.trace_id), len(own.span_id), own.parent_id) == (32, 16, "")


def test_each_pass_follows_from_what_wrote_the_record_that_waited() -> None:
    first, second = (trace(ROOT, 0, number, GIVEN.encode()) for number in (0, 1))
    assert (first.trace_id, first.parent_id) == ("ab" * 16, "cd" * 8)
    assert (second.trace_id, second.parent_id) == (first.trace_id, first.child(SEND))
    assert first.header(SEND) == f"00-{'ab' * 16}-{second.parent_id}-01"


async def test_a_traced_event_is_told_from_its_producer_s_span_to_its_outcome_s_header() -> None:
    world, told = World(trace_share=1.0), Told()
    given: Headers = [("ce_traceparent", GIVEN.encode())]
    await MemoryPublisher(world.broker).publish(Outgoing("in", [b"k"], [b"1"], [list(given)], partition=1))
    async with running(world.lane(small_flow(), watch=told)) as lane:
        await until(lane.idle)
    (result,) = await headers(world, "out")
    process, *below = spans = told.spans()
    assert [span.name for span in spans] == ["process in", "numbers", "ask", "count", "send out", "commit in"]
    assert (process.trace_id, process.parent_id, process.link_id) == ("ab" * 16, "cd" * 8, "cd" * 8)
    assert {span.parent_id for span in below} == {process.span_id}
    assert result["traceparent"] == f"00-{process.trace_id}-{spans[4].span_id}-01".encode()
    assert "ce_traceparent" not in result
    assert [span.kind for span in spans] == [Kind.CONSUMER, *[Kind.INTERNAL] * 3, Kind.PRODUCER, Kind.CLIENT]
    assert process.attributes == {
        "messaging.system": "kafka", "messaging.client.id": "f-0", "messaging.consumer.group.name": "f",
        "messaging.operation.name": "process", "messaging.operation.type": "process", "messaging.destination.name": "in",
        "messaging.destination.partition.id": "1", "messaging.kafka.offset": 0, "weft.flow": "f@1.0.0", "weft.root": "in/1/0",
        "weft.pass": 0, "weft.generation": 0, "weft.verdict": "result",
    }  # fmt: skip
    assert spans[-1].attributes["messaging.batch.message_count"] == 1
    assert all(process.start_ns <= span.start_ns <= span.end_ns <= process.end_ns for span in below)


async def test_passes_of_one_event_are_one_trace_and_a_redone_batch_has_the_same_ids() -> None:
    world, told = World(trace_share=1.0), Told()
    log = MemoryLog(world.broker, "f", "f-0")
    waits = {1: Verdict.RETRY, 2: Verdict.REVIEW}
    flow = small_flow(lambda n, attempt: waits.get(n) if not attempt else None)
    async with running(world.lane(flow, log=log, watch=told)) as lane:
        await until(lane.idle)
        log.fail_next("commit", AbortError("once"))
        await world.send([1, 2, "x"])
        await until(lambda: sum(batch.rows for batch in told.batches) == 4)
        (review,) = [key for part in await world.records("f.reviews") for key in part.keys]
        said = decision.encode(Decision((review or b"").decode(), Action.APPROVE, "a person", "fine", 0, {"rule": "asked"}))
        await MemoryPublisher(world.broker).publish(Outgoing("f.resume", [b""], [said], partition=1))
        await until(lambda: sum(batch.rows for batch in told.batches) == 5)
    spans = {(span.attributes["weft.root"], span.attributes["weft.pass"]): span for span in told.spans() if span.kind is Kind.CONSUMER}
    sends = {span.name: span.span_id for span in told.spans() if span.kind is Kind.PRODUCER}
    assert sorted(spans) == [("in/0/0", 0), ("in/0/0", 1), ("in/1/0", 0), ("in/1/0", 1), ("in/2/0", 0)]
    for root, topic in (("in/0/0", "f.retry.a"), ("in/1/0", "f.reviews")):
        first, second = spans[root, 0], spans[root, 1]
        assert (second.trace_id, second.parent_id) == (first.trace_id, sends[f"send {topic}"])
    dead = spans["in/2/0", 0]
    assert (dead.error, dead.attributes["weft.verdict"]) == ("wrong-type", "dead-letter")
    assert "traceparent" not in (await headers(world, "f.dead"))[0]  # a letter is the event as it came


async def test_events_that_are_not_traced_pay_nothing_and_keep_their_context() -> None:
    world, told = World(), Told()
    await MemoryPublisher(world.broker).publish(Outgoing("in", [b"k"], [b"1"], [[("traceparent", GIVEN.encode())]], partition=1))
    async with running(world.lane(small_flow(), watch=told)) as lane:
        await until(lane.idle)
    assert (await headers(world, "out"))[0]["traceparent"] == GIVEN.encode()
    assert told.spans() == []


def span(number: int = 1, **changes: Any) -> Span:
    values: dict[str, Value] = {"text": "t", "int": 2**40, "bool": True, "double": 0.5}
    when = 1_700_000_000_123_456_789, 1_700_000_000_999_999_999
    return Span("process in", Kind.CONSUMER, "ab" * 16, f"{number:016x}", "cd" * 8, *when, values)._replace(**changes)


def test_a_line_of_the_file_says_what_opentelemetry_s_own_exporter_sends(tmp_path: Path) -> None:
    spans = [span(), span(2, parent_id="", kind=Kind.PRODUCER, error="wrong-type"), span(3, link_id="ef" * 8, kind=Kind.CLIENT)]
    FileExporter(tmp_path / "spans.jsonl", RESOURCE).export(spans)
    line = orjson.loads((tmp_path / "spans.jsonl").read_bytes())
    written = ParseDict(_as_base64(line), ExportTraceServiceRequest())
    sent = encode_spans([readable(one, Resource(RESOURCE)) for one in spans])
    for request in (written, sent):
        for one in request.resource_spans[0].scope_spans[0].spans:
            one.ClearField("flags")
            for link in one.links:
                link.ClearField("flags")
            if not one.status.code:
                one.ClearField("status")
    assert written == sent
    assert (tmp_path / "spans.jsonl").stat().st_mode & 0o777 == 0o600


def _as_base64(told: Any) -> Any:
    """Protobuf's own JSON has ids in base64, OTLP's in hexadecimal."""
    if isinstance(told, dict):
        ids = ("traceId", "spanId", "parentSpanId")
        return {key: base64.b64encode(bytes.fromhex(value)).decode() if key in ids else _as_base64(value) for key, value in told.items()}
    return [_as_base64(one) for one in told] if isinstance(told, list) else told


def test_the_file_is_bounded(tmp_path: Path) -> None:
    exporter = FileExporter(tmp_path / "spans.jsonl", RESOURCE, 10_000)
    for number in range(100):
        exporter.export([span(number)])
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["spans.jsonl", "spans.jsonl.1"]
    assert all(file.stat().st_size <= 10_000 for file in files)
    last = files[0].read_text().splitlines()[-1]
    assert orjson.loads(last)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] == f"{99:016x}"


def spans_of(number: int) -> Sequence[Span]:
    return [span(number), span(number + 1_000)]


def test_what_waits_is_exported_at_the_end_and_what_can_t_be_is_counted() -> None:
    exporter = MemoryExporter()
    outbox = Outbox(spans_of, lambda _: 2, lambda: exporter)
    for number in range(600):
        outbox.put(number)
    outbox.close(5.0)
    assert (len(exporter.spans), outbox.exported, outbox.dropped) == (1_200, 1_200, 0)
    down = MemoryExporter()
    down.down = True
    outbox = Outbox(spans_of, lambda _: 2, lambda: down)
    outbox.put(1)
    outbox.close(5.0)
    assert (outbox.exported, outbox.dropped) == (0, 2)


def test_more_than_may_wait_is_let_go() -> None:
    outbox = Outbox(spans_of, lambda _: 2, MemoryExporter, most=5)
    for number in range(10):
        outbox.put(number)
    outbox.close(5.0)
    assert (outbox.exported, outbox.dropped) == (6, 14)


class Collector(BaseHTTPRequestHandler):
    """Takes what is sent to it."""

    heard: ClassVar[list[tuple[str, ExportTraceServiceRequest]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_a_collector_hears_the_spans() -> None:
    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    exporter = OtlpExporter(f"http://127.0.0.1:{server.server_port}", RESOURCE)
    exporter.export([span(), span(2)])
    exporter.close()
    thread.join(5)
    server.server_close()
    ((path, request),) = Collector.heard
    (told,) = request.resource_spans
    assert path == "/v1/traces"
    assert {one.key: one.value.string_value for one in told.resource.attributes} == RESOURCE
    assert [one.span_id.hex() for one in told.scope_spans[0].spans] == [f"{1:016x}", f"{2:016x}"]
