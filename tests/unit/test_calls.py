"""Calls of models are heard, whatever comes of them, and name the traced event for whom they are made."""

from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
import pyarrow as pa
import pytest

from processors.ports import Answer
from processors.step import Batch, State, Stepped
from schemas.errors import FailedError, UnreachableError
from schemas.tracing import CALLER
from serving.client import GrpcEndpoint
from serving.protocol import service
from streams.calls import HeardModels
from streams.watch import Call, NoWatch
from tests.models import CHAMPION, rows, trained
from tests.simulation.small import Numbers, World, running, small_flow, until
from tests.unit.test_tracing import Told

COLUMNS = pa.RecordBatch.from_pydict({"n": [1, 2]})


class Scripted:
    """Answers or raises, and notes for whom it was asked."""

    def __init__(self, *script: Exception | None) -> None:
        self._script = list(script)
        self.callers: list[str] = []

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        self.callers.append(CALLER.get())
        if error := self._script.pop(0):
            raise error
        return Answer(columns, f"{model}@1.0.0")


class Heard(NoWatch):
    def __init__(self) -> None:
        self.calls: list[Call] = []

    def asked(self, call: Call) -> None:
        self.calls.append(call)


class AskModel:
    """Asks, and asks again where it got no answer."""

    name, stateful = "infer", False

    def __init__(self, models: HeardModels) -> None:
        self._models = models

    async def run(self, batch: Batch, state: State) -> Stepped:
        try:
            await self._models.infer("large", "champion", COLUMNS, [], 1.0)
        except FailedError:
            await self._models.infer("small", "champion", COLUMNS, [], 1.0)
        return Stepped(batch.with_column("rule", pa.nulls(len(batch), pa.string())), state=state)


async def test_each_call_is_heard_with_its_outcome() -> None:
    heard = Heard()
    models = HeardModels(Scripted(None, FailedError("late"), UnreachableError("away", ""), ValueError("odd")), heard)
    await models.infer("m", "champion", COLUMNS, [], 1.0)
    for error in (FailedError, UnreachableError, ValueError):
        with pytest.raises(error):
            await models.infer("m", "champion", COLUMNS, [], 1.0)
    assert [(call.model, call.rows, call.outcome) for call in heard.calls] == [
        ("m@1.0.0", 2, "answered"),
        ("m", 2, "failed"),
        ("m", 2, "unreachable"),
        ("m", 2, "failed"),
    ]


async def test_a_call_stands_below_its_step_and_the_server_is_told_its_span() -> None:
    world, told = World(trace_share=1.0), Told()
    models = Scripted(FailedError("late"), None)
    flow = small_flow(steps=(Numbers(), AskModel(HeardModels(models, told))), gives=({}, {}))
    async with running(world.lane(flow, watch=told)) as lane:
        await world.send([1])
        await until(lambda: bool(told.batches))
        await until(lane.idle)
    spans = {span.name: span for span in told.spans()}
    failed, answered = spans["infer large"], spans["infer small@1.0.0"]
    assert {failed.parent_id, answered.parent_id} == {spans["infer"].span_id}
    assert (failed.error, answered.error) == ("failed", "")
    assert models.callers == [f"00-{span.trace_id}-{span.span_id}-01" for span in (failed, answered)]
    assert CALLER.get() == ""


async def test_what_is_told_of_an_outage_does_not_grow_with_it() -> None:
    world, told = World(trace_share=1.0), Told()
    models = Scripted(*(UnreachableError("away", "") for _ in range(20)), None)
    flow = small_flow(steps=(Numbers(), AskModel(HeardModels(models, told))), gives=({}, {}))
    async with running(world.lane(flow, watch=told)) as lane:
        await world.send([1])
        await until(lambda: bool(told.batches))
        await until(lane.idle)
    assert [len(timing.calls) for batch in told.batches for timing in batch.timings] == [0, 1]


class Server:
    """Refuses, and keeps what was said beside the request."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        async def answer(request: Any, context: Any) -> None:
            self.said.append(dict(context.invocation_metadata()))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")

        return answer


@pytest.mark.parametrize("caller", ["", f"00-{'ab' * 16}-{'cd' * 8}-01"])
async def test_the_trace_context_goes_with_the_call(caller: str) -> None:
    server, heard = grpc.aio.server(), Server()
    service.add_to_server(heard, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    endpoint = GrpcEndpoint(f"127.0.0.1:{port}")
    token = CALLER.set(caller)
    try:
        with pytest.raises(FailedError):
            await endpoint.infer(trained().manifest(CHAMPION), rows(3), 5.0)
    finally:
        CALLER.reset(token)
        await endpoint.close()
        await server.stop(None)
    assert heard.said[0].get("traceparent", "") == caller
