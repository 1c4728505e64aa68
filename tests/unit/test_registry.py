"""The schema registry by URL: what is asked, what is kept, and what its silence means."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from connectors.memory.lookup import MemoryLookup
from connectors.registry.client import HttpRegistry
from connectors.registry.twin import RegistryTwin, served
from ops.flow.offline import FixedScore
from processors.flow.bundle import bundle
from processors.flow.compile import compile_bundle, compile_flow
from processors.flow.plan import Parts
from processors.flow.project import FolderProject
from processors.step import Batch, Intake
from schemas.codecs.framed import confluent
from schemas.codecs.layout import Layout
from schemas.codecs.registry import Found
from schemas.contracts import Contract, built_in
from schemas.errors import FailedError, FlowError, UnreachableError, UsageError
from schemas.positions import Source
from schemas.vocabulary import Reason, Verdict
from streams.registry import registry_of
from streams.settings import Settings
from tests.unit.flow_project import small
from tests.unit.test_codec_avro import written


def record(*fields: dict[str, Any], name: str = "a.T") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


OLD, NEW = record({"name": "n", "type": "int"}), record({"name": "n", "type": "long"}, {"name": "x", "type": "string", "default": "?"})


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def twin() -> RegistryTwin:
    return RegistryTwin("me:secret")


@pytest.fixture
def url(twin: RegistryTwin) -> Iterator[str]:
    with served(twin) as where:
        yield where


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(url: str, clock: Clock) -> HttpRegistry:
    return HttpRegistry(url, "me:secret", timeout_s=0.5, clock=clock)


def one(registry: HttpRegistry, schema_id: int) -> Found:
    return registry.schemas([schema_id])[schema_id]


def test_a_schema_is_asked_for_once_and_an_unknown_id_not_again_for_a_moment(
    registry: HttpRegistry, twin: RegistryTwin, clock: Clock
) -> None:
    made = twin.put("t-value", json.dumps(OLD))
    assert [one(registry, made) for _ in range(3)] == [Contract.of(OLD)] * 3
    assert [one(registry, 99) for _ in range(3)] == [None] * 3
    assert twin.asked == [f"GET /schemas/ids/{made}", "GET /schemas/ids/99"]
    clock.now_s += 1
    assert one(registry, 99) is None
    assert len(twin.asked) == 3
    twin.put("u-value", json.dumps(NEW))
    assert one(registry, 2) == Contract.of(NEW)


def test_unknown_ids_are_asked_for_side_by_side(twin: RegistryTwin, clock: Clock) -> None:
    twin.delay_s, made = 0.02, twin.put("t-value", json.dumps(OLD))
    with served(twin) as where:
        registry = HttpRegistry(where, "me:secret", clock=clock)
        began = time.monotonic()
        found = registry.schemas(range(made, made + 160))
        assert time.monotonic() - began < 160 * 0.02 / 2
        assert found == {made: Contract.of(OLD)} | {at: None for at in range(made + 1, made + 160)}
        assert len(twin.asked) == 160
        twin.answers = {f"/schemas/ids/{550 + at}": (503, {}) for at in range(50)}
        with pytest.raises(UnreachableError):
            registry.schemas(range(500, 600))
        assert len(twin.asked) < 160 + 100
        twin.answers = {}
        before = len(twin.asked)
        assert set(registry.schemas(range(500, 600)).values()) == {None}
        assert len(twin.asked) == before + 50


def test_subjects_versions_and_registering_are_as_the_api_has_them(registry: HttpRegistry, twin: RegistryTwin) -> None:
    old, new = Contract.of(OLD), Contract.of(NEW)
    assert (registry.versions("t/v"), registry.version("t/v"), registry.schema_id(old, "t/v")) == ([], None, None)
    first = registry.register("t/v", old)
    assert registry.register("t/v", old) == first
    assert registry.compatible("t/v", new) == (True, [])
    second = registry.register("t/v", new)
    assert (registry.subjects(), registry.versions("t/v"), registry.schema_id(new, "t/v")) == (["t/v"], [1, 2], second)
    latest = registry.version("t/v")
    assert latest is not None
    assert (latest.version, latest.id, latest.contract) == (2, second, new)
    breaking = Contract.of(record({"name": "other", "type": "int"}))
    assert registry.compatible("t/v", breaking)[0] is False
    with pytest.raises(FailedError, match="incompatible"):
        registry.register("t/v", breaking)
    assert registry.level("t/v") == "BACKWARD"


def test_schemas_that_others_refer_to_are_fetched_and_other_kinds_refused(registry: HttpRegistry, twin: RegistryTwin) -> None:
    twin.put("inner", json.dumps(record({"name": "f", "type": "int"}, name="a.Inner")))
    refers = [{"name": "a.Inner", "subject": "inner", "version": 1}]
    made = twin.put("outer", json.dumps(record({"name": "i", "type": "a.Inner"}, name="a.Outer")), references=refers)
    found = one(registry, made)
    assert isinstance(found, Contract)
    assert found.schema["fields"][0]["type"]["fields"] == [{"name": "f", "type": "int"}]
    for body in ({"schema": "message M {}", "schemaType": "PROTOBUF"}, {"schema": "{"}, {"schema": '"int"'}):
        assert isinstance(one(registry, twin.put("odd", **body)), str)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    "body",
    [
        {"schema": json.dumps(OLD), "references": [{"name": "a.Gone", "subject": "gone", "version": 1}]},
        {"schema": json.dumps(OLD), "references": [{"name": f"a.T{at}", "subject": "t", "version": at} for at in range(1, 200)]},
        {"schema": json.dumps(OLD), "references": [{"name": "a.T", "subject": "t", "version": "1 x"}]},
        {"schema": deep(100_000).decode()},
        {"schema": json.dumps(record({"name": "n", "type": {"type": "fixed", "name": "a.F", "size": 2**70}}))},
    ],
    ids=("gone", "many", "version", "deep text", "fixed"),
)
def test_a_schema_of_no_use_is_a_dead_letter_and_asked_for_once_in_a_while(registry: HttpRegistry, twin: RegistryTwin, body: Any) -> None:
    versions = {f"/subjects/t/versions/{at}": {"schema": json.dumps(OLD)} for at in range(1, 200)}
    twin.answers = {"/schemas/ids/1": body, **versions}
    for _ in range(2):
        bad = confluent(Contract.of(OLD), registry).decode([b"\x00\x00\x00\x00\x01\x02"]).bad
        assert [one.reason for one in bad] == [Reason.UNKNOWN_SCHEMA]
    assert twin.asked.count("GET /schemas/ids/1") == 1
    assert len(twin.asked) <= 101


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (404, b"<html>"),
        (200, b"<html>"),
        (301, b""),
        (429, {"error_code": 42901}),
        (404, {}),
        (404, {"error_code": 404}),
        (409, {"error_code": 409}),
        (200, []),
        (200, {"status": "maintenance"}),
        (200, {"schema": 7}),
        (200, deep(100_000)),
    ],
)
def test_whatever_is_no_answer_of_a_registry_is_waited_for(registry: HttpRegistry, twin: RegistryTwin, answer: Any) -> None:
    twin.answers = {"/schemas/ids/1": answer}
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1"):
        one(registry, 1)
    twin.answers = {}
    assert one(registry, 1) is None


def test_a_password_is_sent_and_never_said(url: str, twin: RegistryTwin) -> None:
    with pytest.raises(UnreachableError, match="refuses the user") as caught:
        one(HttpRegistry(url, "me:wrong-password"), 1)
    assert "wrong-password" not in f"{caught.value} {caught.value.hint}"
    said = Settings(registry=url, registry_auth="me:secret")
    assert "secret" not in repr(said) + said.model_dump_json()
    assert one(registry_of(said) or HttpRegistry("http://x"), 1) is None
    for wrong, auth in (("ftp://x", None), ("http://me:secret@x", None), ("http://x:port", None), ("http://x", "secret")):
        with pytest.raises(UsageError) as refused:
            HttpRegistry(wrong, auth)
        assert "secret" not in str(refused.value)


def test_nobody_there_is_unreachable_and_a_connection_that_was_closed_is_made_again(clock: Clock) -> None:
    twin = RegistryTwin()
    with served(twin) as where:
        found, port = HttpRegistry(where, timeout_s=0.5), int(where.rpartition(":")[2])
        assert one(found, 1) is None
    with pytest.raises(UnreachableError, match=r"can't be reached"):
        one(found, 2)
    with served(twin, port):
        assert one(found, 3) is None


CONFLUENT = (
    ("encoding: avro-single-object", "encoding: avro-confluent"),
    ("schema: flights.DelayDecision}", "schema: flights.DelayDecision, encoding: avro-confluent}"),
)


def parts(project: FolderProject) -> Parts:
    return Parts(MemoryLookup(), FixedScore(0.9), lambda: 0.0, project)


async def test_a_flow_reads_by_the_registry_and_writes_by_its_bundle(registry: HttpRegistry, twin: RegistryTwin, tmp_path: Path) -> None:
    contracts = built_in()
    project = FolderProject(small(tmp_path, *CONFLUENT).folder, registry)
    with pytest.raises(FlowError, match=r"no id for flights\.DelayDecision"):
        bundle(project, "small")
    written_id = registry.register("flights.small-value", contracts["flights.DelayDecision"])
    made = bundle(project, "small")
    assert f"schemas/registry/{written_id}.avsc" in made.files
    flow = compile_bundle(made.encode(), parts(FolderProject(tmp_path, HttpRegistry("http://127.0.0.1:9"))))
    decision = {"flight_id": "1", "scheduled_at": 0, "carrier": "", "flight": 1, "origin": "", "dest": "", "dep_delay": None, "score": 0.5,
                "decision": "", "model": "", "degraded": False, "rule": None}  # fmt: skip
    rows = pa.RecordBatch.from_pylist([decision], Layout.of(contracts["flights.DelayDecision"].schema).arrow)
    assert flow.result.encode(rows)[0].startswith(b"\0" + written_id.to_bytes(4, "big"))
    flow = compile_flow(project, "small", parts(project))
    read_id = registry.register("flights.departures-value", contracts["flights.Departure"])
    datum = {"flight_id": "1", "scheduled_at": 0, "departed_at": 0, "dep_delay": 50.0, "carrier": "UA", "flight": 1, "tailnum": None,
             "origin": "EWR", "dest": "SFO", "distance": 1.0, "time_hour": ""}  # fmt: skip
    values = [b"\0" + number.to_bytes(4, "big") + written(contracts["flights.Departure"].schema, datum) for number in (read_id, 999)]
    stepped = await flow.steps[0].run(batch(values), {})
    assert stepped.batch.columns.column("flight_id").to_pylist() == ["1"]
    assert [(leave.rows.tolist(), leave.verdict, leave.reason) for leave in stepped.leaves] == [([1], Verdict.RETRY, Reason.UNKNOWN_SCHEMA)]
    twin.answers = {"/schemas/ids/1000": (503, {})}
    with pytest.raises(UnreachableError):
        await flow.steps[0].run(batch([b"\0" + (1000).to_bytes(4, "big")]), {})


async def test_an_event_waits_for_its_schema_only_where_that_holds_nobody_up(registry: HttpRegistry, tmp_path: Path) -> None:
    for change, verdict in (
        (("version: 1.0.0", "version: 1.0.0"), Verdict.RETRY),
        (("version: 1.0.0", "version: 1.0.0\norder: key"), Verdict.DEAD_LETTER),
        (("retries: [1s, 30s]", "retries: []"), Verdict.DEAD_LETTER),
    ):
        project = FolderProject(small(tmp_path, CONFLUENT[0], change).folder, registry)
        stepped = await compile_flow(project, "small", parts(project)).steps[0].run(batch([b"\0\0\0\3\xe7"]), {})
        assert [(leave.verdict, leave.reason) for leave in stepped.leaves] == [(verdict, Reason.UNKNOWN_SCHEMA)]


def batch(values: list[bytes]) -> Batch:
    rows, zeros = np.arange(len(values), dtype=np.int64), np.zeros(len(values), np.int64)
    intake = Intake((Source("t", 0),), zeros.astype(np.int16), rows, zeros, [None] * len(values), list(values), None, 0)
    return Batch(pa.RecordBatch.from_pylist([{}] * len(values), pa.schema([])), rows, intake)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b""], ids=("1.0", "1.1", "no head")
)
def test_an_answer_that_comes_in_drips_is_no_answer_once_the_time_is_over(head: bytes) -> None:
    ended = threading.Event()

    def drip() -> None:
        here, _ = server.accept()
        with here, contextlib.suppress(OSError):
            here.sendall(head)
            while not ended.wait(0.1):
                here.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="timed out"):
            one(HttpRegistry(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=0.3), 1)
        assert time.monotonic() - began < 2
        ended.set()
        thread.join()
